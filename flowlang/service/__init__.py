"""Use cases: what people and programs can ask of FlowLang, over any store."""
