//! The network above the table: the models, and their gradients.

mod deep;
mod first_order;
mod network;

pub use network::{Model, Network, Teacher};
