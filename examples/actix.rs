//! An actix-web app behind the gate.
//!
//! ```sh
//! maint --site /tmp/example/.maint init /tmp/example
//! cargo run --example actix --no-default-features --features actix -- /tmp/example/.maint
//! curl -i http://127.0.0.1:3000/
//! maint --site /tmp/example/.maint on -m "Back at noon"
//! ```

use std::path::PathBuf;

use actix_web::{App, HttpServer, rt, web};
use maint::actix::Maintenance;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let site = std::env::args_os().nth(1).map(PathBuf::from);
    let maintenance = Maintenance::open(site.as_deref())?.ignore("/health")?;
    let app = move || {
        let unready = maintenance.clone().force_on();
        App::new()
            .wrap(maintenance.clone())
            .route("/", web::get().to(async || "the shop\n"))
            .route("/health", web::get().to(async || "alive\n"))
            .service(web::resource("/new").wrap(unready).get(async || "not ready\n"))
    };
    let address = std::env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let server = HttpServer::new(app).bind(&address)?;
    for (address, _) in server.addrs_with_scheme() {
        println!("http://{address}/");
    }
    rt::System::new().block_on(server.run())?;
    Ok(())
}
