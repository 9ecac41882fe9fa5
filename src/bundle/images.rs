//! The images in a master's static pods: versions and repository, from the cluster file or overridden for one run.

use std::fmt;

use serde::Serialize;

use crate::cluster::kubernetes::{EtcdVersion, Features, ImageRepository, Kubernetes, KubernetesError, Version};

/// The images of a control plane, and whether units are packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `kubernetesVersion`: the tag of Kubernetes's own images.
    pub kubernetes_version: Version,
    /// `etcdVersion`: the tag of etcd's image.
    pub etcd_version: EtcdVersion,
    /// `imageRepository`: the repository of the images.
    pub image_repository: ImageRepository,
    /// Whether units for systemd are packed beside the drop-ins.
    pub with_units: bool,
}

/// Errors of a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// It has no `=`.
    #[error("{text:?} is not KEY=VALUE")]
    Form {
        /// The text.
        text: String,
    },
    /// The key does not exist.
    #[error("there is no setting {key:?}; there are: {}", Settings::KEYS.join(", "))]
    Unknown {
        /// The key.
        key: String,
    },
    /// The value is not valid for the key.
    #[error("{key}={value:?} is {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// The reason.
        reason: KubernetesError,
    },
}

impl Default for Settings {
    fn default() -> Self {
        Self::of(&Kubernetes::default())
    }
}

impl Settings {
    /// All keys.
    pub const KEYS: [&'static str; 3] = ["kubernetesVersion", "etcdVersion", "imageRepository"];

    /// Returns the settings of the cluster file, with defaults.
    #[must_use]
    pub fn of(kubernetes: &Kubernetes) -> Self {
        let kubernetes_version = kubernetes.version.clone().unwrap_or_default();
        let etcd_version =
            kubernetes.etcd_version.clone().unwrap_or_else(|| EtcdVersion::for_kubernetes(&kubernetes_version));
        let image_repository = kubernetes.image_repository.clone().unwrap_or_default();
        Self { kubernetes_version, etcd_version, image_repository, with_units: false }
    }

    /// Returns the defaults, overridden by `given`; the last value of a key wins.
    ///
    /// # Errors
    /// Returns an error for the first text that is not a setting.
    pub fn parse(given: &[String]) -> Result<Self, SettingError> {
        Self::with(&Kubernetes::default(), given)
    }

    /// Returns the settings of the cluster file, overridden by `given`; the last value of a key wins.
    ///
    /// # Errors
    /// Returns an error for the first text that is not a setting.
    pub fn with(kubernetes: &Kubernetes, given: &[String]) -> Result<Self, SettingError> {
        let mut kubernetes = kubernetes.clone();
        for text in given {
            let (key, value) = text.split_once('=').ok_or_else(|| SettingError::Form { text: text.clone() })?;
            let wrong = |key: &'static str| {
                move |reason: KubernetesError| SettingError::Value { key, value: value.to_owned(), reason }
            };
            match key {
                "kubernetesVersion" => {
                    kubernetes.version = Some(Version::parse(value).map_err(wrong("kubernetesVersion"))?);
                }
                "etcdVersion" => {
                    kubernetes.etcd_version = Some(EtcdVersion::parse(value).map_err(wrong("etcdVersion"))?);
                }
                "imageRepository" => {
                    kubernetes.image_repository =
                        Some(ImageRepository::parse(value).map_err(wrong("imageRepository"))?);
                }
                _ => return Err(SettingError::Unknown { key: key.to_owned() }),
            }
        }
        Ok(Self::of(&kubernetes))
    }

    /// Returns the features of this release of Kubernetes.
    #[must_use]
    pub fn features(&self) -> Features {
        self.kubernetes_version.features()
    }

    /// Returns the values for templates.
    pub(super) fn values(&self) -> ImageValues {
        let livez = self.etcd_version.has_livez();
        ImageValues {
            kubernetes_version: self.kubernetes_version.to_string(),
            etcd_version: self.etcd_version.to_string(),
            image_repository: self.image_repository.to_string(),
            etcd_ready: if livez { "/readyz" } else { "/health" },
            etcd_live: if livez { "/livez" } else { "/health?serializable=true" },
        }
    }
}

/// Formats the settings for people and for the ledger.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kubernetes_version, etcd_version, image_repository, with_units: _ } = self;
        write!(f, "Kubernetes {kubernetes_version} and etcd {etcd_version} from {image_repository}")
    }
}

/// The values for templates.
#[derive(Debug, Serialize)]
pub(super) struct ImageValues {
    kubernetes_version: String,
    etcd_version: String,
    image_repository: String,
    /// etcd's path for readiness.
    etcd_ready: &'static str,
    /// etcd's path for liveness.
    etcd_live: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<Settings, SettingError> {
        Settings::parse(&[text.to_owned()])
    }

    #[test]
    fn settings_are_versions_and_a_repository_and_nothing_else() {
        assert_eq!(
            set("kubernetesVersion=v1.37.0-rc.1").expect("a version").kubernetes_version.to_string(),
            "v1.37.0-rc.1"
        );
        assert_eq!(set("etcdVersion=3.5.21-0").expect("a version").etcd_version.to_string(), "3.5.21-0");
        assert_eq!(
            set("imageRepository=reg.example.net:5000/k8s").expect("one").image_repository.to_string(),
            "reg.example.net:5000/k8s"
        );
        for wrong in ["1.36.2", "v1.36", "v1.36.2.1", "latest", "v1.36.2 ", "v1.36.2-a b", "v1..2", "", "v1.27.0"] {
            assert!(matches!(set(&format!("kubernetesVersion={wrong}")), Err(SettingError::Value { .. })), "{wrong}");
        }
        for wrong in ["", "a//b", "Registry", "a b", "/a"] {
            assert!(matches!(set(&format!("imageRepository={wrong}")), Err(SettingError::Value { .. })), "{wrong}");
        }
        assert_eq!(set("kubernetesVersion"), Err(SettingError::Form { text: "kubernetesVersion".into() }));
        assert_eq!(set("version=1"), Err(SettingError::Unknown { key: "version".into() }));
    }

    #[test]
    fn options_override_the_cluster_file_which_overrides_defaults() {
        let file = Kubernetes { version: Version::parse("v1.33.1").ok(), ..Kubernetes::default() };
        assert_eq!(Settings::of(&file).to_string(), "Kubernetes v1.33.1 and etcd 3.5.21-0 from registry.k8s.io");
        let set = Settings::with(&file, &["kubernetesVersion=v1.36.0".to_owned()]).expect("settings");
        assert_eq!(set.to_string(), "Kubernetes v1.36.0 and etcd 3.6.8-0 from registry.k8s.io");
    }
}
