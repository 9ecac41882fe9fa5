//! A rule for one field of a kubelet's configuration, and its check.

use std::fmt;

use crate::cluster::duration::in_seconds;
use crate::cluster::kubelet_setting::Setting;

/// A rule for one field of a kubelet's configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    pub(super) path: &'static [&'static str],
    pub(super) allowed: Allowed,
    /// The property of mutual trust that another value violates: `1.iii`.
    pub property: &'static str,
    /// The consequence of another value.
    pub why: &'static str,
    /// The advice for users who set another value.
    pub instead: &'static str,
}

/// The values that a field may have. Kubernetes's defaults are safe, so most fields may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    Bool(bool),
    Number(&'static str),
    OneOf(&'static [&'static str]),
    /// A list of some of these.
    SubsetOf(&'static [&'static str]),
    /// The value that clusterctl renders.
    Own(OwnField),
    /// A duration up to this many seconds.
    AtMostSeconds(u32),
    /// No value.
    Absent,
}

/// A field whose value clusterctl renders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnField {
    Port,
    ClientCa,
    Certificate,
    Key,
}

/// The values that clusterctl renders into a kubelet's configuration.
#[derive(Debug, Clone, Copy)]
pub struct RenderedValues<'a> {
    /// The port that API servers connect to.
    pub port: u16,
    /// Path of the cluster CA's certificate on the host.
    pub client_ca: &'a str,
    /// Path of the serving certificate.
    pub certificate: &'a str,
    /// Path of its key.
    pub key: &'a str,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it would violate property {}: {}; {}", self.property, self.why, self.instead)
    }
}

/// The kind of configuration that is checked, which decides whether fields may be absent and which values are right.
#[derive(Debug, Clone, Copy)]
pub enum ConfigKind<'a> {
    /// Settings that are merged over a rendered configuration, which has every required field.
    Patch,
    /// A whole configuration that clusterctl rendered, and the values that it must have.
    Rendered(&'a RenderedValues<'a>),
    /// A whole configuration of unknown origin.
    Foreign,
}

impl Rule {
    /// Returns the whole path, with dots.
    #[must_use]
    pub fn field(&self) -> String {
        self.path.join(".")
    }

    /// Returns the field and its value if the value is not allowed.
    pub(super) fn violation(&self, config: &Setting, kind: ConfigKind<'_>) -> Option<(String, String)> {
        let whole = !matches!(kind, ConfigKind::Patch);
        let mut here = config;
        for (depth, key) in self.path.iter().enumerate() {
            match here.get(key) {
                None | Some(Setting::Null) if whole => {
                    return self.is_required().then(|| (self.field(), "nothing".to_owned()));
                }
                None => return None,
                // A removed field gets Kubernetes's default.
                Some(Setting::Null) => {
                    return self.is_required().then(|| (self.path[..=depth].join("."), "null".to_owned()));
                }
                Some(value) => here = value,
            }
        }
        (!self.allows(here, kind)).then(|| (self.field(), here.to_string()))
    }

    /// Returns true if Kubernetes's default is not an allowed value.
    fn is_required(&self) -> bool {
        matches!(self.allowed, Allowed::Own(_)) || ["apiVersion", "kind"].contains(&self.path[0])
    }

    fn allows(&self, value: &Setting, kind: ConfigKind<'_>) -> bool {
        match (self.allowed, value) {
            (Allowed::Bool(wanted), Setting::Bool(found)) => wanted == *found,
            (Allowed::Number(wanted), Setting::Number(found)) => wanted == found,
            (Allowed::OneOf(texts), Setting::Text(found)) => texts.contains(&found.as_str()),
            (Allowed::SubsetOf(texts), Setting::List(found)) => {
                found.iter().all(|item| matches!(item, Setting::Text(text) if texts.contains(&text.as_str())))
            }
            (Allowed::AtMostSeconds(seconds), Setting::Text(found)) => {
                in_seconds(found).is_some_and(|d| d <= f64::from(seconds))
            }
            (Allowed::Own(field), found) => match kind {
                ConfigKind::Patch => false,
                ConfigKind::Rendered(own) => own.value(field) == *found,
                ConfigKind::Foreign => matches!(found, Setting::Number(text) | Setting::Text(text) if !text.is_empty()),
            },
            _ => false,
        }
    }
}

impl RenderedValues<'_> {
    fn value(&self, field: OwnField) -> Setting {
        match field {
            OwnField::Port => Setting::Number(self.port.to_string()),
            OwnField::ClientCa => Setting::Text(self.client_ca.to_owned()),
            OwnField::Certificate => Setting::Text(self.certificate.to_owned()),
            OwnField::Key => Setting::Text(self.key.to_owned()),
        }
    }
}
