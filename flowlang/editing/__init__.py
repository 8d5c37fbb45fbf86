"""What editors and authors of handlers are given: schemas of the language, sentences about its keys, types of events.

Pure: it gets the models, handlers and event schemas of a project as data, and gives texts and JSON. Who writes files,
and who answers an editor, is above it.
"""
