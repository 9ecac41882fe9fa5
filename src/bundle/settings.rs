//! What `bundle --set KEY=VALUE` can say: which versions run in a master's static pods. None of it is about trust.

use serde::Serialize;

/// An image's tag has at most this many characters (OCI distribution spec, "Pull").
const MAX_TAG: usize = 128;

/// The images of a control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// `kubernetesVersion`: the tag of Kubernetes's own images.
    pub kubernetes_version: String,
    /// `etcdVersion`: the tag of etcd's image.
    pub etcd_version: String,
    /// `imageRepository`: where they are pulled from.
    pub image_repository: String,
}

/// Why a setting is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No `=` in it.
    #[error("{text:?} is not KEY=VALUE")]
    Form {
        /// What was given.
        text: String,
    },
    /// No such key.
    #[error("there is no setting {key:?}; there are: {}", Settings::KEYS.join(", "))]
    Unknown {
        /// The key.
        key: String,
    },
    /// A version that no image has.
    #[error("{key}={value:?} is no version: it must read like {example}")]
    Version {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// One that is right.
        example: &'static str,
    },
    /// A repository that no image can be pulled from.
    #[error("imageRepository={value:?} is no image repository: it must read like registry.k8s.io")]
    Repository {
        /// The value.
        value: String,
    },
}

impl Default for Settings {
    fn default() -> Self {
        // kubeadm 1.36 runs this etcd (`kubeadm config images list`).
        Self {
            kubernetes_version: "v1.36.2".to_owned(),
            etcd_version: "3.6.8-0".to_owned(),
            image_repository: "registry.k8s.io".to_owned(),
        }
    }
}

impl Settings {
    /// The keys that there are.
    pub const KEYS: [&'static str; 3] = ["kubernetesVersion", "etcdVersion", "imageRepository"];

    /// The defaults, with what `given` says; of a key that is given twice the last counts.
    ///
    /// # Errors
    /// The first that is no setting.
    pub fn parse(given: &[String]) -> Result<Self, SettingError> {
        let mut settings = Self::default();
        for text in given {
            let (key, value) = text.split_once('=').ok_or_else(|| SettingError::Form { text: text.clone() })?;
            let value = value.to_owned();
            match key {
                "kubernetesVersion" if is_version(value.strip_prefix('v')) => settings.kubernetes_version = value,
                "kubernetesVersion" => {
                    return Err(SettingError::Version { key: "kubernetesVersion", value, example: "v1.36.2" });
                }
                "etcdVersion" if is_version(Some(&value)) => settings.etcd_version = value,
                "etcdVersion" => return Err(SettingError::Version { key: "etcdVersion", value, example: "3.6.8-0" }),
                "imageRepository" if is_repository(&value) => settings.image_repository = value,
                "imageRepository" => return Err(SettingError::Repository { value }),
                _ => return Err(SettingError::Unknown { key: key.to_owned() }),
            }
        }
        Ok(settings)
    }
}

/// `1.36.2`, with whatever a tag may have behind it.
fn is_version(text: Option<&str>) -> bool {
    let Some(text) = text else { return false };
    let tag = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let (numbers, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let parts: Vec<&str> = numbers.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|part| !part.is_empty())
        && (rest.is_empty() || rest.starts_with('-'))
        && rest.chars().all(tag)
        && text.len() < MAX_TAG
}

/// A host, a port perhaps, and a path, as images are named by (OCI distribution spec, "Pull").
fn is_repository(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-:".contains(c);
    !text.is_empty() && text.split('/').all(|part| !part.is_empty() && part.chars().all(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<Settings, SettingError> {
        Settings::parse(&[text.to_owned()])
    }

    #[test]
    fn settings_are_versions_and_a_repository_and_nothing_else() {
        assert_eq!(set("kubernetesVersion=v1.37.0-rc.1").expect("a version").kubernetes_version, "v1.37.0-rc.1");
        assert_eq!(set("etcdVersion=3.5.21-0").expect("a version").etcd_version, "3.5.21-0");
        assert_eq!(
            set("imageRepository=reg.example.net:5000/k8s").expect("one").image_repository,
            "reg.example.net:5000/k8s"
        );
        for wrong in ["1.36.2", "v1.36", "v1.36.2.1", "latest", "v1.36.2 ", "v1.36.2-a b", "v1..2", ""] {
            assert!(matches!(set(&format!("kubernetesVersion={wrong}")), Err(SettingError::Version { .. })), "{wrong}");
        }
        for wrong in ["", "a//b", "Registry", "a b", "/a"] {
            assert!(
                matches!(set(&format!("imageRepository={wrong}")), Err(SettingError::Repository { .. })),
                "{wrong}"
            );
        }
        assert_eq!(set("kubernetesVersion"), Err(SettingError::Form { text: "kubernetesVersion".into() }));
        assert_eq!(set("version=1"), Err(SettingError::Unknown { key: "version".into() }));
    }
}
