//! Escapes values for each format of file, so that its reader gets back exactly that value.
//!
//! Templates never quote by hand: everything that they print is escaped here.

use std::borrow::Cow;

use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Error, ErrorKind, Output, State, escape_formatter};

/// A format of the files in a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// JSON, and YAML whose strings a YAML 1.1 reader also reads as strings.
    Json,
    /// POSIX shell: single quotes.
    Shell,
    /// systemd unit files (systemd.syntax, systemd.service "COMMAND LINES").
    Unit,
    /// systemd `EnvironmentFile=` (systemd.exec), which a shell reads in the same way.
    EnvironmentFile,
}

impl Dialect {
    /// Returns the format of a template by its path; `None` if it is not known.
    pub(super) fn of(path: &str) -> Option<Self> {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let (_, ending) = file.rsplit_once('.')?;
        match ending {
            "yaml" | "json" | "kubeconfig" => Some(Self::Json),
            // kubeadm's extension for a kubeconfig.
            "conf" if folder.ends_with("etc/kubernetes") => Some(Self::Json),
            "conf" if folder.contains("etc/systemd/") => Some(Self::Unit),
            "service" => Some(Self::Unit),
            "env" => Some(Self::EnvironmentFile),
            "sh" => Some(Self::Shell),
            _ => None,
        }
    }

    /// Returns the template engine's setting for it.
    pub(super) fn auto_escape(self) -> AutoEscape {
        match self {
            Self::Json => AutoEscape::Json,
            Self::Shell => AutoEscape::Custom(Cow::Borrowed("shell")),
            Self::Unit => AutoEscape::Custom(Cow::Borrowed("unit")),
            Self::EnvironmentFile => AutoEscape::Custom(Cow::Borrowed("environment-file")),
        }
    }
}

/// Formats every `{{ value }}` of a template.
pub(super) fn write(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let quote = match state.auto_escape() {
        AutoEscape::Custom(name) => match name.as_ref() {
            "shell" => for_shell,
            "unit" => for_unit,
            "environment-file" => for_environment_file,
            _ => return escape_formatter(out, state, value),
        },
        _ => return escape_formatter(out, state, value),
    };
    match (value.as_str(), value.kind()) {
        (Some(text), _) => {
            if text.contains('\0') {
                return Err(Error::new(ErrorKind::InvalidOperation, "a NUL character cannot be written here"));
            }
            out.write_str(&quote(text)).map_err(Error::from)
        }
        (None, ValueKind::Number | ValueKind::Bool) => out.write_str(&value.to_string()).map_err(Error::from),
        (None, kind) => {
            let reason = format!("{kind} cannot be written here; print its parts, or join them");
            Err(Error::new(ErrorKind::InvalidOperation, reason))
        }
    }
}

/// Quotes one word of a shell (POSIX § 2.2.2).
fn for_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Quotes one argument of a systemd command line. `%` begins a specifier and `$` a variable, even inside quotes.
fn for_unit(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' | '$' => quoted.extend([c, c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Quotes a whole value of an environment file. Line breaks are kept.
fn for_environment_file(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::Environment;

    fn printed(path: &str, value: Value) -> Result<String, String> {
        let mut engine = Environment::new();
        engine.set_auto_escape_callback(|name| Dialect::of(name).expect("a known ending").auto_escape());
        engine.set_formatter(write);
        engine
            .render_named_str(path, "{{ value }}", minijinja::context! { value })
            .map_err(|error| error.detail().unwrap_or_default().to_owned())
    }

    #[test]
    fn strings_are_quoted_for_each_language() {
        let hostile = r#"a'b"c\d$e%f`g"#;
        let print = |path| printed(path, Value::from(hostile));
        assert_eq!(print("install.sh"), Ok(r#"'a'\''b"c\d$e%f`g'"#.into()));
        assert_eq!(print("node/etc/systemd/system/x.service.d/1.conf"), Ok(r#""a'b\"c\\d$$e%%f`g""#.into()));
        assert_eq!(print("x.env"), Ok(r#""a'b\"c\\d\$e%f\`g""#.into()));
        assert_eq!(print("config.yaml"), Ok(r#""a'b\"c\\d$e%f`g""#.into()));
        assert_eq!(print("node/etc/kubernetes/kubelet.conf"), print("config.yaml"));
    }

    #[test]
    fn numbers_are_unquoted_and_unrepresentable_values_are_refused() {
        assert_eq!(printed("install.sh", Value::from(10250)), Ok("10250".into()));
        assert_eq!(printed("config.yaml", Value::from(10250)), Ok("10250".into()));
        let list = printed("install.sh", Value::from(vec!["a"]));
        assert_eq!(list, Err("sequence cannot be written here; print its parts, or join them".into()));
        assert_eq!(printed("x.env", Value::from("a\0b")), Err("a NUL character cannot be written here".into()));
    }

    #[test]
    fn an_unknown_ending_has_no_language() {
        assert_eq!(Dialect::of("node/etc/motd"), None);
        assert_eq!(Dialect::of("node/etc/x.toml"), None);
        assert_eq!(Dialect::of("node/etc/other/x.conf"), None);
    }
}
