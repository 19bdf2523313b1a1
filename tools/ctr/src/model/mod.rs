//! The network above the table: the models, and their gradients.

mod deep;
mod first_order;
mod network;

pub use deep::Dropout;
pub use network::{Lesson, Model, Network, Teacher};
