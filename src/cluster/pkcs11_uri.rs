//! The `pkcs11:` URI of a key in a token (RFC 7512).

/// A key in a token, as its URI names it.
///
/// Attributes that are `None` may have any value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pkcs11Uri {
    /// `token`: the token's label.
    pub token: Option<String>,
    /// `manufacturer`: the token's manufacturer.
    pub manufacturer: Option<String>,
    /// `model`: the token's model.
    pub model: Option<String>,
    /// `serial`: the token's serial number.
    pub serial: Option<String>,
    /// `object`: the key's label.
    pub object: Option<String>,
    /// `id`: the key's identifier, CKA_ID.
    pub id: Option<Vec<u8>>,
    /// `module-path`: the module, a shared library.
    pub module_path: Option<String>,
    /// `pin-source`: the file with the PIN, without `file:`.
    pub pin_source: Option<String>,
}

/// Errors of parsing a URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Pkcs11UriError {
    /// It has another scheme.
    #[error("it begins with pkcs11: as in pkcs11:token=prod;object=ca")]
    Scheme,
    /// An attribute has no value, or its value is malformed.
    #[error("{0:?} is not an attribute with a value, as in token=prod")]
    Attribute(String),
    /// An attribute occurs twice.
    #[error("{0:?} occurs twice")]
    Twice(String),
    /// An attribute is not read.
    #[error(
        "{0:?} is not known here; known are token, manufacturer, model, serial, object, id, type, and after ? module-path and pin-source"
    )]
    Unknown(String),
    /// The PIN itself.
    #[error("the PIN itself has no place in this file; pin-source names a file that has it")]
    Pin,
    /// `type` is another one.
    #[error("its type is private: the key signs")]
    Type,
    /// `pin-source` is not a file.
    #[error("pin-source is the path of a file, with or without file: before it")]
    PinSource,
    /// No key is named.
    #[error("it names no key: object=LABEL or id=%01 does")]
    NoKey,
}

impl Pkcs11Uri {
    /// Parses a URI.
    ///
    /// # Errors
    /// Returns an error if it has another scheme, is malformed, has an attribute that is not known, or names no key.
    pub fn parse(text: &str) -> Result<Self, Pkcs11UriError> {
        let rest = text.strip_prefix("pkcs11:").ok_or(Pkcs11UriError::Scheme)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let parts = path.split(';').chain(query.split('&')).filter(|part| !part.is_empty());
        for part in parts {
            let wrong = || Pkcs11UriError::Attribute(part.to_owned());
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            let bytes = decoded(value).filter(|bytes| !bytes.is_empty()).ok_or_else(wrong)?;
            let text = || String::from_utf8(bytes.clone()).ok().filter(|text| !text.contains('\0')).ok_or_else(wrong);
            let place = match name {
                "token" => &mut uri.token,
                "manufacturer" => &mut uri.manufacturer,
                "model" => &mut uri.model,
                "serial" => &mut uri.serial,
                "object" => &mut uri.object,
                "module-path" => &mut uri.module_path,
                "id" => {
                    set(name, &mut uri.id, bytes)?;
                    continue;
                }
                "type" if bytes == b"private" => continue,
                "type" => return Err(Pkcs11UriError::Type),
                "pin-source" => {
                    let text = text()?;
                    let path = text.strip_prefix("file:").unwrap_or(&text);
                    let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
                    if path.is_empty() || path.starts_with('|') {
                        return Err(Pkcs11UriError::PinSource);
                    }
                    set(name, &mut uri.pin_source, path.to_owned())?;
                    continue;
                }
                "pin-value" => return Err(Pkcs11UriError::Pin),
                _ => return Err(Pkcs11UriError::Unknown(name.to_owned())),
            };
            set(name, place, text()?)?;
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err(Pkcs11UriError::NoKey);
        }
        Ok(uri)
    }

    /// Describes the token: its label, else what else is known of it.
    #[must_use]
    pub fn token_name(&self) -> String {
        let known = [&self.token, &self.serial, &self.model, &self.manufacturer];
        known.into_iter().flatten().next().cloned().unwrap_or_else(|| "any token".to_owned())
    }

    /// Describes the key: its label, else its identifier in hexadecimal.
    #[must_use]
    pub fn key_name(&self) -> String {
        let id = || self.id.iter().flatten().map(|byte| format!("%{byte:02x}")).collect();
        self.object.clone().unwrap_or_else(id)
    }
}

fn set<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), Pkcs11UriError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Pkcs11UriError::Twice(name.to_owned())),
    }
}

/// Decodes percent-encoding (RFC 3986 § 2.1).
fn decoded(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                after
            }
            (b'%', _) => return None,
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_decoded() {
        let uri =
            Pkcs11Uri::parse("pkcs11:token=My%20token;id=%00%fe;type=private?pin-source=file:/run/pin").expect("a URI");
        assert_eq!((uri.token.as_deref(), uri.id.as_deref()), (Some("My token"), Some(&[0, 0xfe][..])));
        assert_eq!((uri.pin_source.as_deref(), uri.key_name().as_str()), (Some("/run/pin"), "%00%fe"));
        let uri =
            Pkcs11Uri::parse("pkcs11:object=ca;serial=7?module-path=/usr/lib/m.so&pin-source=pin").expect("a URI");
        assert_eq!((uri.module_path.as_deref(), uri.pin_source.as_deref()), (Some("/usr/lib/m.so"), Some("pin")));
        assert_eq!((uri.token_name().as_str(), uri.key_name().as_str()), ("7", "ca"));
        let uri = Pkcs11Uri::parse("pkcs11:object=ca?pin-source=file:///run/pin").expect("a URI");
        assert_eq!(uri.pin_source.as_deref(), Some("/run/pin"));
    }

    #[test]
    fn what_cannot_name_a_key_is_refused() {
        use Pkcs11UriError::{Attribute, NoKey, Pin, PinSource, Scheme, Twice, Type, Unknown};
        let unknown = |name: &str| Unknown(name.to_owned());
        for (text, error) in [
            ("", Scheme),
            ("pkcs12:object=ca", Scheme),
            ("pkcs11:", NoKey),
            ("pkcs11:token=prod", NoKey),
            ("pkcs11:object", Attribute("object".to_owned())),
            ("pkcs11:object=", Attribute("object=".to_owned())),
            ("pkcs11:object=%4", Attribute("object=%4".to_owned())),
            ("pkcs11:object=%zz", Attribute("object=%zz".to_owned())),
            ("pkcs11:object=%ff", Attribute("object=%ff".to_owned())),
            ("pkcs11:object=a%00", Attribute("object=a%00".to_owned())),
            ("pkcs11:object=a;object=b", Twice("object".to_owned())),
            ("pkcs11:object=a;slot-id=1", unknown("slot-id")),
            ("pkcs11:object=a;type=cert", Type),
            ("pkcs11:object=a?pin-value=1234", Pin),
            ("pkcs11:object=a?pin-source=file:", PinSource),
            ("pkcs11:object=a?pin-source=%7Ccat", PinSource),
        ] {
            assert_eq!(Pkcs11Uri::parse(text), Err(error), "{text}");
        }
    }
}
