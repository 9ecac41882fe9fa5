//! The catalogue of rules.

pub(super) mod ca;
pub(super) mod certificate;
pub(super) mod key;
pub(super) mod kubeconfig;
pub(super) mod name;

use super::error::LintError;
use super::rule::Rule;

/// All rules, in the order of the catalogue.
pub static RULES: [&Rule; 60] = [
    &certificate::EXPIRED,
    &certificate::NOT_YET_VALID,
    &certificate::SIGNATURE,
    &certificate::WEAK_HASH,
    &certificate::OUTLIVES_CA,
    &certificate::VALIDITY,
    &certificate::VALIDITY_OF_PERSON,
    &certificate::SELF_SIGNED,
    &certificate::IS_CA,
    &certificate::REVOKED,
    &certificate::NOT_READABLE,
    &certificate::UNKNOWN_CRITICAL,
    &certificate::IDENTIFIER_MISSING,
    &certificate::IDENTIFIER_MISMATCH,
    &certificate::SERIAL_NEGATIVE,
    &certificate::SERIAL_ZERO,
    &certificate::SERIAL_LONG,
    &certificate::SERIAL_DUPLICATE,
    &certificate::CRL_EXPIRED,
    &certificate::UNREADABLE,
    &ca::EXPIRED,
    &ca::NOT_YET_VALID,
    &ca::VALIDITY,
    &ca::BASIC_CONSTRAINTS,
    &ca::NOT_CRITICAL,
    &ca::KEY_USAGE,
    &ca::NO_KEY_USAGE,
    &ca::CRL_SIGN,
    &ca::EXTENDED_USAGE,
    &ca::PATH_LENGTH,
    &ca::IDENTIFIER_MISSING,
    &ca::SAME_NAME,
    &ca::SEVERAL_ROLES,
    &key::MISMATCH,
    &key::WEAK,
    &key::SHARED,
    &key::WORLD_READABLE,
    &key::GROUP_READABLE,
    &key::CA_BESIDE_CREDENTIALS,
    &name::COMMON_NAME_LENGTH,
    &name::UPPER_CASE,
    &name::NO_SUBJECT_ALTERNATIVE,
    &name::ADDRESS_AS_DNS,
    &name::HOST_MISSING,
    &name::ADDRESS_MISSING,
    &name::KUBELET_SERVING,
    &name::SYSTEM_MASTERS,
    &name::USAGE_MISSING,
    &name::USAGE_ANY,
    &name::USAGE_BOTH,
    &name::USAGE_NOT_SERVER,
    &name::USAGE_NOT_CLIENT,
    &name::USAGE_ETCD,
    &kubeconfig::EMBEDDED,
    &kubeconfig::INSECURE,
    &kubeconfig::REFUSED,
    &kubeconfig::CREDENTIAL,
    &kubeconfig::SERVER,
    &kubeconfig::CA,
    &kubeconfig::REFERENCE,
];

/// Returns the rule with this id.
///
/// # Errors
/// Returns an error if there is none.
pub fn rule(id: &str) -> Result<&'static Rule, LintError> {
    RULES.into_iter().find(|rule| rule.id == id).ok_or_else(|| LintError::unknown_rule(id))
}
