//! The pages of problem codes, written from the registry once per process.

use std::{collections::BTreeMap, sync::LazyLock};

use runtime::Code;

use crate::file::{File, Kind};

static PAGES: LazyLock<BTreeMap<Code, File>> = LazyLock::new(|| {
    let page = |code: Code| (code, html(code.title(), &about(code)));
    Code::all().map(page).collect()
});

static LIST: LazyLock<File> = LazyLock::new(|| html("Problem codes", &overview()));

/// The page of one code.
pub(crate) fn page(code: Code) -> &'static File {
    // The map is built from every code there is.
    PAGES.get(&code).unwrap_or(&LIST)
}

/// The page that lists them all.
pub(crate) fn list() -> &'static File {
    &LIST
}

fn about(code: Code) -> String {
    let (status, name) = (code.status(), code.code());
    let (meaning, advice) = (text(code.meaning()), text(code.advice()));
    let headers: String = code.headers().iter().map(item).collect();
    let headers = if headers.is_empty() {
        headers
    } else {
        format!("<dt>Header fields it may carry</dt><dd><ul>{headers}</ul></dd>")
    };
    let members: String = code.members().iter().map(|(name, _)| item(name)).collect();
    let members = if members.is_empty() {
        members
    } else {
        format!("<dt>Members of its own</dt><dd><ul>{members}</ul></dd>")
    };
    format!(
        "<dl><dt>Code</dt><dd><code>{name}</code></dd><dt>Status</dt><dd>{status}</dd>\
         <dt>What it means</dt><dd>{meaning}</dd><dt>What to do</dt><dd>{advice}</dd>{headers}{members}</dl>\
         <p><a href=\"/problems\">All problem codes</a></p>"
    )
}

fn overview() -> String {
    let row = |code: Code| {
        let (status, name, title) = (code.status().as_u16(), code.code(), text(code.title()));
        format!(
            "<tr><td>{status}</td><td><a href=\"/problems/{name}\"><code>{name}</code></a></td><td>{title}</td></tr>"
        )
    };
    let rows: String = Code::all().map(row).collect();
    format!(
        "<p>Every answer that is not a success is a problem document (RFC 9457). Branch on its <code>code</code>.</p>\
         <table><thead><tr><th scope=\"col\">Status</th><th scope=\"col\">Code</th><th scope=\"col\">Title</th></tr>\
         </thead><tbody>{rows}</tbody></table>"
    )
}

fn item(name: impl AsRef<str>) -> String {
    format!("<li><code>{}</code></li>", name.as_ref())
}

/// Text of the registry as HTML: what stands between backticks is code.
fn text(plain: &str) -> String {
    let plain = plain
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let wrap = |(index, part): (usize, &str)| {
        if index % 2 == 1 {
            format!("<code>{part}</code>")
        } else {
            part.to_owned()
        }
    };
    plain.split('`').enumerate().map(wrap).collect()
}

fn html(title: &str, main: &str) -> File {
    let title = text(title);
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} - Spike</title>\n\
         <link rel=\"icon\" href=\"/assets/icon.svg\">\n<link rel=\"stylesheet\" href=\"/assets/style.css\">\n\
         </head>\n<body>\n<header><p><a href=\"/\">Spike</a></p></header>\n\
         <main>\n<h1>{title}</h1>\n{main}\n</main>\n</body>\n</html>\n"
    );
    File::of(Kind::Html, page.into())
}
