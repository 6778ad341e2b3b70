//! The rules of the parser, each with its test, on a small table of every kind of row.
