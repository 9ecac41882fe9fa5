//! The fields of a kubelet's configuration (`kubelet.config.k8s.io/v1beta1`, KubeletConfiguration) with the types of their values.
//!
//! A kubelet only logs a warning for an unknown field, and ignores it.

mod table;

pub use table::{FIELDS, VERSION};

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A number with a fraction.
    Float,
    /// A string.
    Text,
    /// A duration in Go's format, such as `1h30m`.
    Duration,
    /// A list of values of one type.
    List(&'static Kind),
    /// A mapping from strings to values of one type.
    Map(&'static Kind),
    /// A mapping with these fields.
    Struct(&'static [Field]),
}

/// A field: its name, and the type of its value.
pub type Field = (&'static str, Kind);

/// The top-level fields introduced after Kubernetes 1.28, each with the minor version that introduced it.
pub(super) const SINCE: &[(&str, u32)] = &[
    ("imageMaximumGCAge", 29),
    ("containerLogMaxWorkers", 30),
    ("containerLogMonitorInterval", 30),
    ("podLogsDir", 30),
    ("failCgroupV1", 31),
    ("crashLoopBackOff", 32),
    ("mergeDefaultEvictionSettings", 32),
    ("singleProcessOOMKill", 32),
    ("imagePullCredentialsVerificationPolicy", 33),
    ("preloadedImagesVerificationAllowlist", 33),
    ("userNamespaces", 33),
    ("memoryReservationPolicy", 36),
    ("tlsCurvePreferences", 36),
];
