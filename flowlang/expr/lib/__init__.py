"""The functions of the language, one topic a module; `registry` loads them when the first expression is compiled."""
