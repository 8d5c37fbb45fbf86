"""Handlers that every project has without declaring them: `http.request`, `slack.post`, `mail.send` and others.

Each module here declares handlers, and uses FlowLang as a project's own would: by its public face alone. What those
that call services share is in `outbound`. A handler of the project with the same name takes the place of one here.
"""
