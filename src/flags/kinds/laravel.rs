//! `laravel`: `storage/framework/down`, which the framework reads with each request, and a
//! program beside it for the time before the framework starts.
//!
//! Laravel's own program there answers as well, but reads nothing of `maint`'s, and `artisan`
//! removes it. The one here works while `vendor/` is being replaced, answers with the fields of
//! the gate, and in JSON to those who want it.

use std::path::Path;

use serde::Serialize;

use super::php::{self, Answer};
use crate::error::{Error, Result};
use crate::flags::definition::{Definition, Drive, Order};
use crate::flags::fact::Fact;
use crate::flags::flag::Kind;
use crate::flags::notice::Notice;
use crate::flags::piece::Piece;

pub(crate) static DEFINITION: Definition = Definition {
    kind: Kind::Laravel,
    path: "the root of the app, with `artisan`",
    on: "`storage/framework/down`, and `maintenance.php` beside it",
    carries: &[Fact::Page, Fact::RetryAfter, Fact::Status, Fact::Format, Fact::Redirect],
    drive: Drive::Files { check, pieces, is_blank: |_| false },
};

const PROGRAM: &str = include_str!("php/laravel.php");

/// What Laravel 8 to 13 read, and under `maint` what the program reads.
#[derive(Serialize)]
struct Down {
    except: [String; 0],
    redirect: Option<String>,
    /// Laravel sends it as it is: a date, which stays right, or seconds.
    retry: String,
    refresh: Option<u32>,
    secret: Option<String>,
    status: u16,
    template: String,
    maint: Ours,
}

#[derive(Serialize)]
struct Ours {
    version: u32,
    #[serde(flatten)]
    answer: Answer,
}

/// Refuses a folder that is not the root of an app.
fn check(path: &Path) -> Result<()> {
    let missing = if !path.join("artisan").is_file() {
        "`artisan`"
    } else if !path.join("storage/framework").is_dir() {
        "`storage/framework`"
    } else {
        return Ok(());
    };
    Err(Error::Refused {
        path: path.to_owned(),
        reason: format!("there is no {missing} in it"),
        hint: Some("name the root of the Laravel app".to_owned()),
    })
}

/// The program may stay while the app is up, and does: `public/index.php` asks whether it is
/// there before it runs it, and would fail if it went in between.
fn pieces(order: &Order<'_>) -> Result<Vec<Piece>> {
    let folder = order.flag.place()?.join("storage/framework");
    let (program, down) = (folder.join("maintenance.php"), folder.join("down"));
    let Some(notice) = order.notice else {
        return Ok(vec![Piece::kept(program), Piece::there(down, None)]);
    };
    let bytes =
        serde_json::to_vec(&what(notice)).map_err(|cause| Error::invalid(cause.to_string()))?;
    Ok(vec![
        Piece::there(program, Some(php::program(PROGRAM).into_bytes())),
        Piece::there(down, Some(bytes)),
    ])
}

fn what(notice: &Notice<'_>) -> Down {
    let mut answer = Answer::of(notice);
    // The page is there once.
    let template = answer.pages.get_mut("html").map(|page| std::mem::take(&mut page.body));
    Down {
        except: [],
        redirect: notice.settings().redirect,
        retry: notice.retry_after(),
        refresh: None,
        secret: None,
        status: notice.status(),
        template: template.unwrap_or_default(),
        maint: Ours { version: php::VERSION, answer },
    }
}
