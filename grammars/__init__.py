"""The grammar of the language (abz.lark). Syntax only: it knows no operation by name."""
