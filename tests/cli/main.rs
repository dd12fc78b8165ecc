//! The command as people and scripts meet it: the built binary, one file per verb.

#[cfg(unix)]
mod agent;
mod alter;
mod bypass;
#[path = "../common/can.rs"]
mod can;
mod check;
mod codes;
mod completion;
mod demo;
mod doctor;
mod env;
mod errors;
#[cfg(unix)]
mod first;
mod flag;
#[cfg(unix)]
mod fleet;
mod help;
mod ignore;
mod init;
mod json;
mod live;
mod log;
mod man;
#[cfg(feature = "fleet")]
#[path = "../common/nginx.rs"]
mod nginx;
mod off;
mod on;
mod page;
mod preview;
mod proxy;
mod render;
mod restore;
mod run;
#[path = "../common/say.rs"]
mod say;
mod served;
mod site;
mod snippet;
mod status;
mod template;
mod wait;
