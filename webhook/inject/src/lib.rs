//! A pure function from admission review to answer.
