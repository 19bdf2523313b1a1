//! The command as a person runs it: what it computes, and what it says when something is wrong.

mod bench;
mod common;
mod compare;
mod environment;
mod floats;
mod inputs;
mod outputs;
mod quantize;
mod results;
