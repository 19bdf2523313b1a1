//! HTML pages that need nothing but themselves.

/// The browser's own colours, light or dark as the person has them.
const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.15rem; margin-top: 2rem; }
h1, p { overflow-wrap: anywhere; }
figure { margin: 0; overflow-x: auto; }
svg { max-width: 100%; height: auto; }
svg text { fill: currentColor; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.6rem; text-align: right; white-space: nowrap; }
th.name, td.name { text-align: left; }
thead th, tbody tr.first td { border-top: 1px solid #808080; }
";

/// A page with a title in the browser's own bar; `body` is markup.
pub fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// A plot under a title, or a word where there is none.
pub fn figure(title: &str, svg: Option<&str>, nothing: &str) -> String {
    let title = escaped(title);
    let body = match svg {
        Some(svg) => format!("<figure role=\"img\" aria-label=\"{title}\">\n{svg}</figure>"),
        None => format!("<p>{}</p>", escaped(nothing)),
    };
    format!("<h2>{title}</h2>\n{body}\n")
}

/// A table whose columns are numbers but for one of names.
pub struct Table {
    name_column: usize,
    text: String,
}

/// Whether a row of a table is set apart from the one above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is the first of its kind.
    First,
    /// It is not.
    Next,
}

impl Table {
    /// A table without rows.
    pub fn new<T: AsRef<str>>(header: &[T], name_column: usize) -> Self {
        let mut text = String::from("<div class=\"wide\">\n<table>\n<thead>\n<tr>");
        for (column, name) in header.iter().enumerate() {
            let class = class(column, name_column);
            let name = escaped(name.as_ref());
            text.push_str(&format!("<th scope=\"col\"{class}>{name}</th>"));
        }
        text.push_str("</tr>\n</thead>\n<tbody>\n");
        Self { name_column, text }
    }

    /// Appends a row.
    pub fn row<T: AsRef<str>>(&mut self, place: Place, cells: &[T]) {
        self.text.push_str(match place {
            Place::First => "<tr class=\"first\">",
            Place::Next => "<tr>",
        });
        for (column, cell) in cells.iter().enumerate() {
            let class = class(column, self.name_column);
            let cell = escaped(cell.as_ref());
            self.text.push_str(&format!("<td{class}>{cell}</td>"));
        }
        self.text.push_str("</tr>\n");
    }

    /// The markup.
    pub fn finish(self) -> String {
        self.text + "</tbody>\n</table>\n</div>\n"
    }
}

fn class(column: usize, name_column: usize) -> &'static str {
    match column == name_column {
        true => " class=\"name\"",
        false => "",
    }
}

/// Text that a browser shows as it is, in an element or in an attribute.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() && c != '\n' => safe.push('?'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_is_markup() {
        assert_eq!(
            escaped("<b a=\"1\" c='2'>&\u{1b}"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;?"
        );
        let mut table = Table::new(&["<a>", "b"], 0);
        table.row(Place::First, &["&", "1"]);
        let text = table.finish();
        assert!(
            text.contains("<th scope=\"col\" class=\"name\">&lt;a&gt;</th>"),
            "{text}"
        );
        assert!(
            text.contains("<td class=\"name\">&amp;</td><td>1</td>"),
            "{text}"
        );
    }
}
