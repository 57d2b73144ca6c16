//! Rows of tables in the tests of Go.
