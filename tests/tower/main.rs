//! The tower layer as it is used: real servers, real connections, and the real
//! command that throws the switch.

mod asking;
mod bodies;
mod bypass;
mod client;
mod cors;
mod env;
mod examples;
mod generic;
mod golden;
mod grpc;
mod http2;
#[path = "../common/meanwhile.rs"]
mod meanwhile;
#[path = "../common/numbers.rs"]
mod numbers;
mod orders;
mod personal;
mod probe;
mod reads;
mod retry;
mod running;
#[path = "../common/say.rs"]
mod say;
mod toggles;
mod views;
