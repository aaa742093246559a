//! End to end, from outside: real binary, real browser, real database.
