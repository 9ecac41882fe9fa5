//! The fields of a kubelet's configuration as Kubernetes 1.36 knows them (`kubelet.config.k8s.io/v1beta1`,
//! KubeletConfiguration), each with the kind of its value. A kubelet only warns of a field that it does not know, in its
//! log, and then goes on without it.

/// What a value has to be.
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
    /// A text.
    Text,
    /// A length of time as Go writes it, such as `1h30m`.
    Duration,
    /// A list of one kind.
    List(&'static Kind),
    /// A mapping from any text to one kind.
    Map(&'static Kind),
    /// A mapping with these fields.
    Struct(&'static [Field]),
}

/// A field: its name, and the kind of its value.
pub type Field = (&'static str, Kind);

use Kind::{Bool, Duration, Float, Int32, Int64, List, Map, Struct, Text};

const TEXTS: Kind = List(&Text);
const PAIRS: Kind = Map(&Text);

/// Every field at the top.
pub const FIELDS: &[Field] = &[
    ("apiVersion", Text),
    ("kind", Text),
    ("address", Text),
    ("allowedUnsafeSysctls", TEXTS),
    ("authentication", Struct(AUTHENTICATION)),
    ("authorization", Struct(AUTHORIZATION)),
    ("cgroupDriver", Text),
    ("cgroupRoot", Text),
    ("cgroupsPerQOS", Bool),
    ("clusterDNS", TEXTS),
    ("clusterDomain", Text),
    ("configMapAndSecretChangeDetectionStrategy", Text),
    ("containerLogMaxFiles", Int32),
    ("containerLogMaxSize", Text),
    ("containerLogMaxWorkers", Int32),
    ("containerLogMonitorInterval", Duration),
    ("containerRuntimeEndpoint", Text),
    ("contentType", Text),
    ("cpuCFSQuota", Bool),
    ("cpuCFSQuotaPeriod", Duration),
    ("cpuManagerPolicy", Text),
    ("cpuManagerPolicyOptions", PAIRS),
    ("cpuManagerReconcilePeriod", Duration),
    ("crashLoopBackOff", Struct(&[("maxContainerRestartPeriod", Duration)])),
    ("draManagerReconcilePeriod", Duration),
    ("enableContentionProfiling", Bool),
    ("enableControllerAttachDetach", Bool),
    ("enableDebugFlagsHandler", Bool),
    ("enableDebuggingHandlers", Bool),
    ("enableProfilingHandler", Bool),
    ("enableServer", Bool),
    ("enableSystemLogHandler", Bool),
    ("enableSystemLogQuery", Bool),
    ("enforceNodeAllocatable", TEXTS),
    ("eventBurst", Int32),
    ("eventRecordQPS", Int32),
    ("evictionHard", PAIRS),
    ("evictionMaxPodGracePeriod", Int32),
    ("evictionMinimumReclaim", PAIRS),
    ("evictionPressureTransitionPeriod", Duration),
    ("evictionSoft", PAIRS),
    ("evictionSoftGracePeriod", PAIRS),
    ("failCgroupV1", Bool),
    ("failSwapOn", Bool),
    ("featureGates", Map(&Bool)),
    ("fileCheckFrequency", Duration),
    ("hairpinMode", Text),
    ("healthzBindAddress", Text),
    ("healthzPort", Int32),
    ("httpCheckFrequency", Duration),
    ("imageGCHighThresholdPercent", Int32),
    ("imageGCLowThresholdPercent", Int32),
    ("imageMaximumGCAge", Duration),
    ("imageMinimumGCAge", Duration),
    ("imagePullCredentialsVerificationPolicy", Text),
    ("imageServiceEndpoint", Text),
    ("iptablesDropBit", Int32),
    ("iptablesMasqueradeBit", Int32),
    ("kernelMemcgNotification", Bool),
    ("kubeAPIBurst", Int32),
    ("kubeAPIQPS", Int32),
    ("kubeReserved", PAIRS),
    ("kubeReservedCgroup", Text),
    ("kubeletCgroups", Text),
    ("localStorageCapacityIsolation", Bool),
    ("logging", Struct(LOGGING)),
    ("makeIPTablesUtilChains", Bool),
    ("maxOpenFiles", Int64),
    ("maxParallelImagePulls", Int32),
    ("maxPods", Int32),
    ("memoryManagerPolicy", Text),
    ("memoryReservationPolicy", Text),
    ("memorySwap", Struct(&[("swapBehavior", Text)])),
    ("memoryThrottlingFactor", Float),
    ("mergeDefaultEvictionSettings", Bool),
    ("nodeLeaseDurationSeconds", Int32),
    ("nodeStatusMaxImages", Int32),
    ("nodeStatusReportFrequency", Duration),
    ("nodeStatusUpdateFrequency", Duration),
    ("oomScoreAdj", Int32),
    ("podCIDR", Text),
    ("podLogsDir", Text),
    ("podPidsLimit", Int64),
    ("podsPerCore", Int32),
    ("port", Int32),
    ("preloadedImagesVerificationAllowlist", TEXTS),
    ("protectKernelDefaults", Bool),
    ("providerID", Text),
    ("qosReserved", PAIRS),
    ("readOnlyPort", Int32),
    ("registerNode", Bool),
    ("registerWithTaints", List(&Struct(TAINT))),
    ("registryBurst", Int32),
    ("registryPullQPS", Int32),
    ("reservedMemory", List(&Struct(&[("numaNode", Int32), ("limits", PAIRS)]))),
    ("reservedSystemCPUs", Text),
    ("resolvConf", Text),
    ("rotateCertificates", Bool),
    ("runOnce", Bool),
    ("runtimeRequestTimeout", Duration),
    ("seccompDefault", Bool),
    ("serializeImagePulls", Bool),
    ("serverTLSBootstrap", Bool),
    ("showHiddenMetricsForVersion", Text),
    ("shutdownGracePeriod", Duration),
    ("shutdownGracePeriodByPodPriority", List(&Struct(&[("priority", Int32), ("shutdownGracePeriodSeconds", Int64)]))),
    ("shutdownGracePeriodCriticalPods", Duration),
    ("singleProcessOOMKill", Bool),
    ("staticPodPath", Text),
    ("staticPodURL", Text),
    ("staticPodURLHeader", Map(&TEXTS)),
    ("streamingConnectionIdleTimeout", Duration),
    ("syncFrequency", Duration),
    ("systemCgroups", Text),
    ("systemReserved", PAIRS),
    ("systemReservedCgroup", Text),
    ("tlsCertFile", Text),
    ("tlsCipherSuites", TEXTS),
    ("tlsCurvePreferences", List(&Int32)),
    ("tlsMinVersion", Text),
    ("tlsPrivateKeyFile", Text),
    ("topologyManagerPolicy", Text),
    ("topologyManagerPolicyOptions", PAIRS),
    ("topologyManagerScope", Text),
    ("tracing", Struct(&[("endpoint", Text), ("samplingRatePerMillion", Int32)])),
    ("userNamespaces", Struct(&[("idsPerPod", Int64)])),
    ("volumePluginDir", Text),
    ("volumeStatsAggPeriod", Duration),
];

/// Fields at the top that came after Kubernetes 1.28, each with the release that brought it.
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

const AUTHENTICATION: &[Field] = &[
    ("anonymous", Struct(&[("enabled", Bool)])),
    ("webhook", Struct(&[("enabled", Bool), ("cacheTTL", Duration)])),
    ("x509", Struct(&[("clientCAFile", Text)])),
];

const AUTHORIZATION: &[Field] =
    &[("mode", Text), ("webhook", Struct(&[("cacheAuthorizedTTL", Duration), ("cacheUnauthorizedTTL", Duration)]))];

const LOGGING: &[Field] = &[
    ("format", Text),
    ("flushFrequency", Duration),
    ("verbosity", Int32),
    ("vmodule", List(&Struct(&[("filePattern", Text), ("verbosity", Int32)]))),
    ("options", Struct(&[("text", Struct(ROUTING)), ("json", Struct(ROUTING))])),
];

const ROUTING: &[Field] = &[("splitStream", Bool), ("infoBufferSize", Text)];

const TAINT: &[Field] = &[("key", Text), ("value", Text), ("effect", Text), ("timeAdded", Text)];
