"""FlowLang's expressions against Google's implementation of CEL: generated expressions, both answers, no difference."""
