//! The texts of remedies for a CA that cannot be imported.

use crate::app::ca::{ImportCaError, RenewCaError};
use crate::pki::ca_certificate::CaCertificateError;
use crate::pki::key::KeyError;
use crate::pki::violation::{COMPARE_CLOCKS, Violation};

pub(super) fn words(error: &ImportCaError) -> String {
    let text = match error {
        ImportCaError::Form { .. } | ImportCaError::Certificate { .. } => {
            "name a file with the CA's certificate, PEM or DER"
        }
        ImportCaError::Path { source: CaCertificateError::NoParent { .. }, .. } => {
            "name the certificates above it, with the root, in a PEM file: --chain FILE"
        }
        ImportCaError::CannotSign { violations, .. } if violations.iter().any(Violation::is_early) => COMPARE_CLOCKS,
        ImportCaError::CannotSign { violations, .. } if violations.contains(&Violation::KeyDoesNotFit) => {
            "name the key of this certificate; openssl pkey -in KEY -pubout and openssl x509 -in CERT -noout -pubkey print \
             the same for both"
        }
        ImportCaError::LongKey { .. } => {
            "clusterctl signs with RSA keys of up to 4096 bits; a longer one signs in a token or with a program that \
             cluster.yaml names (signers), without --key"
        }
        ImportCaError::Path { .. } | ImportCaError::CannotSign { .. } => {
            "import another CA, or make new ones with: clusterctl init-ca"
        }
        ImportCaError::Key { source, .. } => key(source),
        ImportCaError::ServiceAccountKey { source: KeyError::Foreign, .. } => {
            "Kubernetes signs tokens with RSA of 2048 to 4096 bits, P-256 or P-384"
        }
        ImportCaError::ServiceAccountKey { .. } => {
            "restore the file from a backup: without it all service accounts' tokens become invalid"
        }
        ImportCaError::ClusterFirst(_) => "import that first: clusterctl import-ca --as cluster",
        ImportCaError::NoKey { role, .. } => {
            return format!(
                "name its private key with --key FILE, or the program or device that has it in cluster.yaml: signers.{}",
                role.name()
            );
        }
        ImportCaError::KeyIsHeld { role, .. } => {
            return format!("leave --key out, or remove signers.{} from cluster.yaml", role.name());
        }
        ImportCaError::OtherRole { .. } | ImportCaError::SharedKey { .. } => {
            "each role needs a CA under a root of its own: with a shared root, etcd would accept every node's \
             certificate. clusterctl init-ca creates those that are missing"
        }
    };
    text.to_owned()
}

/// Returns the remedy for an intermediate that cannot be renewed.
pub(super) fn of_renewed(error: &RenewCaError) -> &'static str {
    match error {
        RenewCaError::NoRoots(_) => "name the folder that init-ca --intermediate --root-out wrote, with --root-in",
        RenewCaError::NotIntermediate(_) => {
            "a root cannot be renewed, but it can be replaced: clusterctl rotate-ca start"
        }
        RenewCaError::OtherRoot { .. } => "name the folder with the roots of this cluster directory, with --root-in",
        RenewCaError::Pem { .. } | RenewCaError::Certificate { .. } => "copy the file again from the other medium",
        RenewCaError::Key { source: KeyError::PassphraseNeeded | KeyError::WrongPassphrase, .. } => {
            "give the passphrase of the roots' keys with --root-passphrase-file FILE"
        }
        RenewCaError::Key { .. } => "copy the root's key again from the other medium",
        RenewCaError::SameKey(_) => "create a new key there, and name it in cluster.yaml (signers)",
        RenewCaError::Trust(_) => "run clusterctl verify --offline",
    }
}

fn key(error: &KeyError) -> &'static str {
    match error {
        KeyError::PassphraseNeeded | KeyError::WrongPassphrase => {
            "give its passphrase with --key-passphrase-file FILE or CLUSTERCTL_KEY_PASSPHRASE, or run on a terminal"
        }
        KeyError::Encryption(_) => {
            "convert it to PKCS #8: openssl pkcs8 -topk8 -in OLD.key -out NEW.key (DES and RC2 need -provider legacy \
             -provider default)"
        }
        KeyError::Pkcs12 => "write the key as PEM: openssl pkcs12 -in FILE -nocerts -out NEW.key",
        KeyError::Pem(_)
        | KeyError::Form(_)
        | KeyError::NoKey
        | KeyError::Damaged
        | KeyError::InitializationVector { .. } => "name a file with the CA's private key, PEM or DER",
        KeyError::Foreign => "a CA's key in a file is RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519",
        KeyError::NoRandomness => "try again when the system provides random numbers",
    }
}
