//! The texts of remedies.

mod announce;
mod backup;
mod enrolment;
mod import_ca;
mod init;
mod join;
mod lint;
pub(crate) mod package;
pub(crate) mod request;
mod revoke;
mod rotate;
mod signer;
mod status;
mod store;
mod token;
mod verify;

use std::error::Error as StdError;

use super::finding_remedies;
use std::path::Path;

use crate::app::input::InputError;
use crate::app::lint::LintRemedy;
use crate::app::nearby::Nearby;
use crate::app::status::Remedy as StatusRemedy;
use crate::app::{self, Remedy};
use crate::pki::key::KeyError;
use crate::pki::signing_key::SigningError;
use crate::store::ca::CaError;
use crate::store::error::StoreError;
use crate::verify::remedy::TargetKind;

const WRITE_CLUSTER_FILE: &str = "write one with: clusterctl init   (or name the cluster directory with --dir)";
const REMOVE_FROM_CLUSTER_FILE: &str = "remove it from cluster.yaml first, and run this again. If only its certificates are lost or stolen: \
                                        clusterctl revoke HOST";

const RESTORE_LEDGER: &str = "restore a ledger that clusterctl ledger check accepts from a backup. Without one, make a new ledger from the files in \
             this directory: clusterctl ledger rebuild. Find out which program changed this one";

/// Returns the remedy for an error of a use case, as text.
pub(super) fn of(error: &app::Error) -> Option<String> {
    error.remedy().and_then(|remedy| words(&remedy))
}

/// Returns the remedy for the cause of an error, as text.
pub(super) fn of_cause(cause: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        return of_store(error);
    }
    if let Some(error) = cause.downcast_ref::<InputError>() {
        return error.remedy().and_then(|remedy| words(&remedy));
    }
    if let Some(error) = cause.downcast_ref::<SigningError>() {
        return signer::words(error);
    }
    cause.downcast_ref::<CaError>().and_then(of_ca)
}

/// Returns the remedy for a file or a ledger that cannot be used, as text.
pub(crate) fn of_store(error: &StoreError) -> Option<String> {
    store::words(error)
}

/// Returns the remedy for an expiring item, as text.
pub(crate) fn of_status(remedy: &StatusRemedy) -> String {
    status::words(remedy)
}

/// Returns the remedy for a finding of `lint`, as text.
pub(crate) fn of_lint(remedy: LintRemedy) -> &'static str {
    lint::words(remedy)
}

const CHANGE_OWNER: &str = "run it as that user, or chown the directory; or use --trust-owner if its owner may decide \
    what is trusted, issued and packed";
const OPEN_BUNDLES: &str =
    "decrypt them first: clusterctl open BUNDLE, on a machine that has the recipient's key; then check what it wrote";
const LISTEN_ELSEWHERE: &str = "use another address with --listen, or stop the program that listens there";

const KEEP_ADMIN_GROUP: &str = "use the flag of its group (--break-glass, --approver, --signer, --announcer), or another NAME. \
    For another group, revoke the account (clusterctl revoke NAME) and remove the file first";

const NAME_ADMIN_GROUP: &str = "use the flag of its group (--break-glass, --approver, --signer, --announcer). For an administrator, \
    move the file away and run clusterctl issue-admin NAME without --reissue";

pub(crate) fn words(remedy: &Remedy) -> Option<String> {
    Some(match remedy {
        Remedy::Rotate(error) => rotate::words(error),
        Remedy::TokenRotation(error) => rotate::of_tokens(error),
        Remedy::WriteClusterFile => WRITE_CLUSTER_FILE.to_owned(),
        Remedy::CorrectClusterFile(error) => error.hint().to_owned(),
        Remedy::ChangeOwner => CHANGE_OWNER.to_owned(),
        Remedy::RestoreClusterName => {
            "restore the name in cluster.yaml; a cluster with another name needs its own directory and roots".to_owned()
        }
        Remedy::NameAnotherRootFolder => signer::ANOTHER_FOLDER.to_owned(),
        Remedy::GiveEachCaItsKey => signer::A_KEY_EACH.to_owned(),
        Remedy::UseTheSamePassphrase => {
            "use the passphrase of that key: a command opens all CAs of a directory with one passphrase".to_owned()
        }
        Remedy::CheckLedger => {
            "clusterctl ledger check finds no fault in it. If it is from a backup, record the revocations that it \
             lacks with: clusterctl revoke --from FILE"
                .to_owned()
        }
        Remedy::RestoreLedger => RESTORE_LEDGER.to_owned(),
        Remedy::Package(remedy) => return package::words(remedy),
        Remedy::EjectTemplates => "write templates that work with: clusterctl bundle --eject-templates DIR".to_owned(),
        Remedy::CorrectTemplate => {
            "correct that template; clusterctl bundle --eject-templates DIR writes templates that work".to_owned()
        }
        Remedy::KeepFilesElsewhere => "keep your own files in another folder".to_owned(),
        Remedy::OpenBundles => OPEN_BUNDLES.to_owned(),
        Remedy::InspectKnownKinds => {
            "show describes PEM and DER certificates, keys, requests and CRLs, PKCS#7, kubeconfigs, and clusterctl's bundles, \
             encrypted or not"
                .to_owned()
        }
        Remedy::NameAKnownHolder(Some(similar)) => format!("did you mean {similar} ?"),
        Remedy::NameAKnownHolder(None) => "clusterctl log prints everything that the ledger has".to_owned(),
        Remedy::Verify(remedy) => verify::words(remedy),
        Remedy::Init(remedy) => init::words(remedy),
        Remedy::Continue => "what is done is kept: run the same command again to continue".to_owned(),
        Remedy::RunAgain => "run the same command again".to_owned(),
        Remedy::RaiseThreadLimit => {
            "raise the limit of processes (ulimit -u, RLIMIT_NPROC, or the cgroup's pids.max)".to_owned()
        }
        Remedy::RestoreServiceAccountKey => {
            "restore pki/sa.key and pki/sa.pub from a backup. Or remove both: then clusterctl issue-master generates a \
             new pair, and all service accounts' tokens become invalid"
                .to_owned()
        }
        Remedy::NameThePerson => "use the person's own name: clusterctl issue-admin alice".to_owned(),
        Remedy::ShortenBreakGlass => "it cannot be revoked: 7d is the longest, and hours are better".to_owned(),
        Remedy::ReissueAdmin => {
            "use another NAME, or replace it with --reissue: the old certificate is valid until it expires or is \
             revoked"
                .to_owned()
        }
        Remedy::NameAdminGroup => NAME_ADMIN_GROUP.to_owned(),
        Remedy::KeepAdminGroup => KEEP_ADMIN_GROUP.to_owned(),
        Remedy::RemoveFromClusterFile => REMOVE_FROM_CLUSTER_FILE.to_owned(),
        Remedy::Request(remedy) => request::words(remedy),
        Remedy::OfAnnouncement(error) => return announce::words(error),
        Remedy::OfToken(error) => token::words(error),
        Remedy::Join(remedy) => join::words(remedy),
        Remedy::OfFinding(remedy) => finding_remedies::words(remedy, TargetKind::Directory),
        Remedy::IssueServingCertificate => "issue the masters' credentials: clusterctl issue-master --all".to_owned(),
        Remedy::NameTheMaster => "name the master on which it runs: --master NAME".to_owned(),
        Remedy::ListenElsewhere => LISTEN_ELSEWHERE.to_owned(),
        Remedy::NameAnotherState => "end the other server, or give each a folder of its own with --state".to_owned(),
        Remedy::RestoreRegistrations(path) => restore_registrations(path),
        Remedy::NameAFile(nearby) => name_a_file(nearby),
        Remedy::DidYouMean(name) => format!("did you mean {name} ?"),
        Remedy::Review(remedy) => enrolment::words(remedy).into_owned(),
        Remedy::ListRules => "clusterctl lint --rules lists the rules".to_owned(),
        Remedy::Revoke(remedy) => revoke::words(remedy),
        Remedy::OfCa(error) => return of_ca(error),
        Remedy::OfBackup(error) => backup::of_backup(error),
        Remedy::OfRestore(error) => backup::of_restore(error),
        Remedy::OfImport(error) => import_ca::words(error),
        Remedy::OfRenewedCa(error) => import_ca::of_renewed(error).to_owned(),
        Remedy::OfStore(error) => return of_store(error),
    })
}

fn name_a_file(nearby: &Nearby) -> String {
    const RELATIVE: &str = "a relative path begins in the current folder";
    match nearby {
        Nearby::Similar(path) => format!("did you mean {} ?", path.display()),
        Nearby::Nothing(folder) => format!("look for it with: ls {}   ({RELATIVE})", folder.display()),
        Nearby::NoFolder(folder) => format!("check the path: there is no folder {}; {RELATIVE}", folder.display()),
    }
}

fn restore_registrations(path: &Path) -> String {
    format!(
        "restore {} from a backup; or move it away: then clusters register again, each with a new token of --create-token",
        path.display()
    )
}

fn of_ca(error: &CaError) -> Option<String> {
    match error {
        CaError::Store(error) => of_store(error),
        CaError::KeyMissing(path) => Some(format!(
            "copy it to {path} while you issue; it may be kept elsewhere at other times. If a program or a device has \
             it, name that in cluster.yaml (signers)"
        )),
        CaError::None(_) => Some("create it with: clusterctl init-ca".to_owned()),
        CaError::Key { source, .. } => of_key(source),
        CaError::TrustFile { path, .. } | CaError::OtherRoots { path } => {
            Some(format!("restore {path} and the other files of its folder from the same backup"))
        }
        CaError::CertificateMissing(path) => Some(format!(
            "if it was never there, because only some CAs were imported: clusterctl init-ca creates the others, or \
             clusterctl import-ca imports them. Otherwise restore {path} from a backup or a bundle"
        )),
        CaError::Several { path, .. } => Some(format!(
            "if the CA is being rotated, trust.json is missing beside {path}: restore it from the newest backup. Otherwise restore the \
             root's own certificate in {path}"
        )),
        CaError::Pem { path, .. } | CaError::Certificate { path, .. } => {
            Some(format!("restore the root's own certificate in {path} from a backup or a bundle"))
        }
        CaError::NotInLedger { .. } => {
            Some("restore ca.crt, ca.key and the ledger of the same directory from a backup".to_owned())
        }
    }
}

fn of_key(error: &KeyError) -> Option<String> {
    match error {
        KeyError::PassphraseNeeded => {
            Some("give it with --ca-passphrase-file FILE or CLUSTERCTL_CA_PASSPHRASE, or run on a terminal".to_owned())
        }
        KeyError::WrongPassphrase => Some("nothing was changed; try again with the right one".to_owned()),
        KeyError::Encryption(_) => Some(
            "convert it to PKCS #8 and replace the old file: openssl pkcs8 -topk8 -in OLD.key -out NEW.key".to_owned(),
        ),
        KeyError::Pem(_)
        | KeyError::Form(_)
        | KeyError::Pkcs12
        | KeyError::NoKey
        | KeyError::Foreign
        | KeyError::Damaged
        | KeyError::InitializationVector { .. } => Some("restore the root's own key from a backup".to_owned()),
        KeyError::NoRandomness => None,
    }
}
