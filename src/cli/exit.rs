//! The exit statuses of the program, and the exit status for each error.

mod enrolment;

use self::enrolment::{of_announcement, of_join};
#[cfg(feature = "server")]
use self::enrolment::{of_bootstrap, of_decision, of_serve, of_signer};
use crate::app::DirectoryError;
use crate::app::Error;
use crate::app::admin::AdminError;
use crate::app::backup::{BackupError, RestoreError};
use crate::app::ca::{CreateCaError, ImportCaError, RenewCaError};
use crate::app::enrol::tokens::JoinTokenError;
use crate::app::history::HistoryError;
use crate::app::init::InitError;
use crate::app::input::InputError;
use crate::app::inspect::InspectError;
use crate::app::issue::IssuanceError;
use crate::app::ledger::RebuildError;
use crate::app::lint::LintError;
use crate::app::package::{OpenBundleError, PackageError, TemplatesError};
use crate::app::policy::PolicyError;
use crate::app::remove::RemoveError;
use crate::app::request::RequestError;
use crate::app::revoke::{LookupError, RevokeError};
use crate::app::rotate::RotateError;
use crate::app::rotate::tokens::TokenRotationError;
use crate::app::sign::SignError;
use crate::app::status::StatusError;
use crate::app::verify::{TargetError, VerifyError};
use crate::bundle::encrypted_stream::StreamError;
use crate::bundle::encryption::DecryptError;
use crate::pki::issuer::IssueError;
use crate::pki::key::KeyError;
use crate::pki::signer_error::TokenError;
use crate::pki::signing_key::SigningError;
use crate::store::ca::CaError;
use crate::store::credentials::CredentialProblem;
use crate::store::error::StoreError;

/// The exit status of the program. The numbers are part of its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Success. A command that checks something found nothing wrong.
    Done,
    /// A check found something wrong (`verify`, `status`, `lint`, `crl show`, `ledger check`, the proof of `rotate-ca`) or was
    /// skipped (`verify`).
    Findings,
    /// Wrong usage, or an unreadable or invalid cluster file.
    Usage,
    /// Refused: a file exists, the user declined, or a passphrase is wrong.
    Refused,
    /// An error of the environment (a file, the disk, the network, a limit of the system), or a signal.
    Environment,
    /// `join`: a request is not decided yet.
    Waiting,
    /// With `--exit-code`: `apply` changed something, or `plan` found something to change.
    Changed,
    /// A bug of clusterctl.
    Bug,
}

impl Exit {
    /// Returns the number with which the process exits.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Environment => 4,
            Self::Waiting => 5,
            Self::Changed => 10,
            Self::Bug => 70,
        }
    }
}

/// Returns the exit status for an error of a command.
///
/// The matches name the variants instead of using wildcards, so that a new error does not compile before it has an exit
/// status.
pub(super) fn of(error: &Error) -> Exit {
    match error {
        Error::Directory(error) => of_directory(error),
        Error::CreateCa(CreateCaError::Encryption(_) | CreateCaError::NotOpened(_)) => Exit::Bug,
        Error::CreateCa(CreateCaError::SharedKey { .. } | CreateCaError::OtherPassphrase(_)) => Exit::Refused,
        Error::CreateCa(CreateCaError::RootsInside(_)) => Exit::Usage,
        Error::ImportCa(error) => of_import_ca(error),
        Error::RenewCa(RenewCaError::NoRoots(_) | RenewCaError::Pem { .. } | RenewCaError::Certificate { .. }) => {
            Exit::Usage
        }
        Error::RenewCa(
            RenewCaError::NotIntermediate(_)
            | RenewCaError::OtherRoot { .. }
            | RenewCaError::Key { .. }
            | RenewCaError::SameKey(_),
        ) => Exit::Refused,
        Error::RenewCa(RenewCaError::Trust(_)) => Exit::Bug,
        Error::Init(
            InitError::Invalid { .. }
            | InitError::List { .. }
            | InitError::OnlyExternalIps { .. }
            | InitError::NoAddresses { .. },
        ) => Exit::Usage,
        Error::History(HistoryError::Unknown { .. } | HistoryError::Pattern(_)) => Exit::Usage,
        Error::Verify(error) => of_verify(error),
        Error::Policy(PolicyError::OtherFile(_)) => Exit::Refused,
        Error::Policy(PolicyError::Stopped) => Exit::Environment,
        Error::Input(error) => of_input(error),
        Error::Inspect(InspectError::Input(error)) => of_input(error),
        Error::Inspect(
            InspectError::NotRecorded { .. } | InspectError::Walk { .. } | InspectError::Unreadable { .. },
        ) => Exit::Usage,
        Error::Backup(error) => of_backup(error),
        Error::Restore(error) => of_restore(error),
        Error::Admin(error) => of_admin(error),
        Error::Issuance(error) => of_issuance(error),
        Error::Remove(RemoveError::Name { .. } | RemoveError::Pattern(_) | RemoveError::Unknown { .. }) => Exit::Usage,
        Error::Remove(RemoveError::InClusterFile { .. }) => Exit::Refused,
        Error::Request(RequestError::NoRoot(_) | RequestError::HostKey(_)) => Exit::Usage,
        Error::Request(
            RequestError::Key { .. }
            | RequestError::ReadableByOthers { .. }
            | RequestError::OtherFile(_)
            | RequestError::LeadsOut { .. },
        )
        | Error::Rebuild(RebuildError::NothingWrong(_))
        | Error::Sign(SignError::Refused(_)) => Exit::Refused,
        Error::Announce(error) => of_announcement(error),
        #[cfg(feature = "server")]
        Error::Bootstrap(error) => of_bootstrap(error),
        Error::Token(
            JoinTokenError::UnknownHost { .. } | JoinTokenError::ForMaster(_) | JoinTokenError::Unknown(_),
        ) => Exit::Usage,
        Error::Join(error) => of_join(error),
        Error::Revoke(error) => of_revoke(error),
        Error::Rotate(error) => of_rotate(error),
        Error::TokenRotation(error) => of_token_rotation(error),
        Error::Status(StatusError::Host(_) | StatusError::NothingFound(_)) => Exit::Usage,
        Error::Lint(LintError::UnknownRule { .. } | LintError::NothingFound(_) | LintError::OnlyEncrypted(_)) => {
            Exit::Usage
        }
        Error::Ca(error) => of_ca(error),
        Error::Issue(error) => of_issue(error),
        Error::Package(error) => of_package(error),
        Error::OpenBundle(error) => of_open_bundle(error),
        Error::Templates(error) => of_templates(error),
        #[cfg(feature = "server")]
        Error::Serve(error) => of_serve(error),
        Error::Store(error) => of_store(error),
        #[cfg(feature = "server")]
        Error::Signer(error) => of_signer(error),
        #[cfg(feature = "server")]
        Error::Connection(_) => Exit::Usage,
        #[cfg(feature = "server")]
        Error::Decision(error) => of_decision(error),
    }
}

fn of_token_rotation(error: &TokenRotationError) -> Exit {
    match error {
        TokenRotationError::Gate { .. } => Exit::Findings,
        TokenRotationError::NoKey
        | TokenRotationError::NotRotating
        | TokenRotationError::UnderWay(_)
        | TokenRotationError::CaUnderWay { .. }
        | TokenRotationError::Wait { .. }
        | TokenRotationError::Tokens { .. }
        | TokenRotationError::NoBackup
        | TokenRotationError::TooLate(_)
        | TokenRotationError::Confirm => Exit::Refused,
    }
}

fn of_rotate(error: &RotateError) -> Exit {
    match error {
        RotateError::UnknownCanary(_) | RotateError::Report { .. } => Exit::Usage,
        RotateError::Gate { .. } => Exit::Findings,
        RotateError::NotRotating(_)
        | RotateError::UnderWay { .. }
        | RotateError::SameSubject { .. }
        | RotateError::Known { .. }
        | RotateError::SharedKey(_)
        | RotateError::Wait { .. }
        | RotateError::NoBackup
        | RotateError::NoCanary(_)
        | RotateError::NoNewKey { .. }
        | RotateError::Due(_)
        | RotateError::TooLate { .. }
        | RotateError::Aborting(_)
        | RotateError::Left { .. }
        | RotateError::OtherRole { .. }
        | RotateError::OldReport { .. }
        | RotateError::ConfirmEmergency
        | RotateError::Confirm(_) => Exit::Refused,
    }
}

fn of_directory(error: &DirectoryError) -> Exit {
    match error {
        DirectoryError::NoClusterFile { .. }
        | DirectoryError::ClusterFileTooLarge { .. }
        | DirectoryError::ClusterFile { .. } => Exit::Usage,
        DirectoryError::AnotherOwner { .. } | DirectoryError::CaOfAnotherCluster { .. } => Exit::Refused,
    }
}

fn of_backup(error: &BackupError) -> Exit {
    match error {
        BackupError::Inside(_) | BackupError::Ledger(_) | BackupError::OtherIssuer(_) | BackupError::Unsuited(_) => {
            Exit::Refused
        }
        BackupError::Changed(_) => Exit::Environment,
        BackupError::Encrypt(_) => Exit::Usage,
    }
}

fn of_restore(error: &RestoreError) -> Exit {
    match error {
        RestoreError::Decrypt { source: StreamError::Read(_), .. } => Exit::Environment,
        RestoreError::NotEmpty { .. }
        | RestoreError::Decrypt { .. }
        | RestoreError::Content { .. }
        | RestoreError::Directory { .. }
        | RestoreError::OtherCluster { .. }
        | RestoreError::OtherHead { .. } => Exit::Refused,
    }
}

fn of_import_ca(error: &ImportCaError) -> Exit {
    match error {
        ImportCaError::Form { .. }
        | ImportCaError::Certificate { .. }
        | ImportCaError::NoKey { .. }
        | ImportCaError::KeyIsHeld { .. } => Exit::Usage,
        ImportCaError::Path { .. }
        | ImportCaError::CannotSign { .. }
        | ImportCaError::LongKey { .. }
        | ImportCaError::Key { .. }
        | ImportCaError::ClusterFirst(_)
        | ImportCaError::SharedKey { .. }
        | ImportCaError::ServiceAccountKey { .. }
        | ImportCaError::OtherRole { .. } => Exit::Refused,
    }
}

fn of_package(error: &PackageError) -> Exit {
    match error {
        PackageError::NoHost
        | PackageError::UnknownHost { .. }
        | PackageError::Setting(_)
        | PackageError::KubeletSettings { .. }
        | PackageError::FormatNotEncrypted(_)
        | PackageError::FormatNotSigned(_)
        | PackageError::FormatWithoutKeys { .. }
        | PackageError::DiscardWithoutRecipients
        | PackageError::Encryption { .. }
        | PackageError::Render { .. }
        | PackageError::Signing(_) => Exit::Usage,
        PackageError::NoRecipients { .. }
        | PackageError::SharedHostKey { .. }
        | PackageError::WouldReplaceEncrypted(_)
        | PackageError::CaExpired { .. }
        | PackageError::UnknownFolder(_)
        | PackageError::WouldBeLost(_)
        | PackageError::VerifierBundle(_) => Exit::Refused,
        PackageError::ServiceAccountKey(problem) => of_credential(std::slice::from_ref(problem)),
        PackageError::VerifierCredential { problems, .. } => of_credential(problems),
        PackageError::CredentialChanged(host) => of_credential(&host.problems),
        PackageError::Refused(refusal) if refusal.is_unreadable() => Exit::Environment,
        PackageError::Refused(_) => Exit::Refused,
        PackageError::Stopped { .. } => Exit::Environment,
    }
}

/// Returns the exit status for problems of a credential. An unreadable file is an error of the environment, because its
/// credential may be valid.
fn of_credential(problems: &[CredentialProblem]) -> Exit {
    match problems {
        [CredentialProblem::Unreadable(_)] => Exit::Environment,
        _ => Exit::Refused,
    }
}

fn of_open_bundle(error: &OpenBundleError) -> Exit {
    match error {
        OpenBundleError::Decrypt { source: DecryptError::OtherRecipients { .. }, .. }
        | OpenBundleError::Signature { .. }
        | OpenBundleError::FolderExists(_) => Exit::Refused,
        OpenBundleError::Decrypt {
            source:
                DecryptError::Header
                | DecryptError::Armored
                | DecryptError::Passphrase
                | DecryptError::Damaged
                | DecryptError::Truncated
                | DecryptError::TooLarge,
            ..
        }
        | OpenBundleError::Invalid { .. } => Exit::Usage,
    }
}

fn of_templates(error: &TemplatesError) -> Exit {
    match error {
        TemplatesError::NotText { .. } | TemplatesError::Invalid(_) | TemplatesError::Render { .. } => Exit::Usage,
    }
}

fn of_input(error: &InputError) -> Exit {
    match error {
        InputError::Missing { .. } | InputError::Store(StoreError::TooLarge { .. }) => Exit::Usage,
        InputError::Store(error) => of_store(error),
    }
}

fn of_admin(error: &AdminError) -> Exit {
    match error {
        AdminError::NameTaken { .. } | AdminError::BreakGlassTooLong { .. } => Exit::Usage,
        AdminError::Exists(_)
        | AdminError::Foreign { .. }
        | AdminError::OtherGroup { .. }
        | AdminError::UnknownGroup { .. } => Exit::Refused,
        AdminError::DefaultName(_) => Exit::Bug,
    }
}

fn of_issuance(error: &IssuanceError) -> Exit {
    match error {
        IssuanceError::StoppedBeforeChange
        | IssuanceError::Stopped { .. }
        | IssuanceError::Changed { .. }
        | IssuanceError::TooFewThreads(_) => Exit::Environment,
        IssuanceError::ServiceAccountKey(_) => Exit::Refused,
        IssuanceError::Certificate {
            source: source @ (IssueError::Signing(_) | IssueError::WrongSignature), ..
        } => of_issue(source),
        IssuanceError::NoIssuer { .. } | IssuanceError::Certificate { .. } => Exit::Bug,
    }
}

fn of_revoke(error: &RevokeError) -> Exit {
    match error {
        RevokeError::UnusableCrl { .. }
        | RevokeError::RevocationsNotInLedger { .. }
        | RevokeError::OutdatedLedger { .. }
        | RevokeError::UnknownRevocations { .. }
        | RevokeError::TooManyDenials(_)
        | RevokeError::OtherIssuer { .. }
        | RevokeError::NothingIssued(_)
        | RevokeError::Ca(_)
        | RevokeError::Expired { .. }
        | RevokeError::AlreadyRevoked { .. }
        | RevokeError::NoRoom(_) => Exit::Refused,
        RevokeError::NoCertificate { .. }
        | RevokeError::NotACrl { .. }
        | RevokeError::NotRendered(_)
        | RevokeError::Lookup(
            LookupError::UnknownSerial(_)
            | LookupError::NotASerial(_)
            | LookupError::Unknown { .. }
            | LookupError::AccountOfHost { .. }
            | LookupError::AccountOfHosts { .. }
            | LookupError::Ca(_)
            | LookupError::Cluster(_),
        ) => Exit::Usage,
        RevokeError::Crl {
            source: source @ (IssueError::NoCrlSign | IssueError::Signing(_) | IssueError::WrongSignature),
            ..
        } => of_issue(source),
        RevokeError::Crl { .. } => Exit::Bug,
    }
}

fn of_verify(error: &VerifyError) -> Exit {
    match error {
        VerifyError::Target(error) => of_target(error),
        VerifyError::Pin(_)
        | VerifyError::NoFolder(_)
        | VerifyError::RecordingTooLarge { .. }
        | VerifyError::Recording { .. } => Exit::Usage,
        VerifyError::Network(_) | VerifyError::Unwritten { .. } => Exit::Environment,
    }
}

fn of_target(error: &TargetError) -> Exit {
    match error {
        TargetError::Bundle { .. }
        | TargetError::NodeBesideBundle { .. }
        | TargetError::Denials { .. }
        | TargetError::Kubeconfig { .. }
        | TargetError::NoRotation
        | TargetError::NotRotating(_)
        | TargetError::SeveralRotations(_)
        | TargetError::PhaseWithoutDirectory
        | TargetError::NoRoots
        | TargetError::NoPeers
        | TargetError::UnknownNode { .. }
        | TargetError::TwoPorts { .. }
        | TargetError::Node { .. }
        | TargetError::Identity { .. }
        | TargetError::Endpoint { .. }
        | TargetError::ServerName { .. } => Exit::Usage,
    }
}

fn of_ca(error: &CaError) -> Exit {
    match error {
        CaError::Store(error) => of_store(error),
        CaError::Key { .. }
        | CaError::KeyMissing(_)
        | CaError::CertificateMissing(_)
        | CaError::None(_)
        | CaError::Pem { .. }
        | CaError::Several { .. }
        | CaError::TrustFile { .. }
        | CaError::OtherRoots { .. }
        | CaError::NotInLedger { .. }
        | CaError::Certificate { .. } => Exit::Refused,
    }
}

fn of_issue(error: &IssueError) -> Exit {
    match error {
        IssueError::Violations { .. } | IssueError::NoCrlSign => Exit::Refused,
        IssueError::Signing(error) => of_signing(error),
        IssueError::Key(KeyError::NoRandomness) | IssueError::WrongSignature => Exit::Environment,
        IssueError::Key(_)
        | IssueError::Certificate(_)
        | IssueError::Encode(_)
        | IssueError::Crl(_)
        | IssueError::OtherCrl
        | IssueError::OtherRole { .. }
        | IssueError::OtherIssuer => Exit::Bug,
    }
}

fn of_signing(error: &SigningError) -> Exit {
    match error {
        SigningError::Token { error: TokenError::WrongPin | TokenError::PinLocked, .. } => Exit::Refused,
        SigningError::Token {
            error: TokenError::NotBuilt | TokenError::NoModule | TokenError::NoPin(_) | TokenError::SeveralTokens(_),
            ..
        } => Exit::Usage,
        SigningError::Failed | SigningError::Program { .. } | SigningError::Token { .. } => Exit::Environment,
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Exists(_) | StoreError::InTheWay(_) => Exit::Refused,
        StoreError::NotPlain { .. } | StoreError::NoWriter { .. } => Exit::Usage,
        StoreError::Io { .. }
        | StoreError::Missing(_)
        | StoreError::TooLarge { .. }
        | StoreError::Locked { .. }
        | StoreError::TokenRotation(_)
        | StoreError::LedgerMissing(_)
        | StoreError::LedgerEmpty(_)
        | StoreError::LedgerDamaged { .. }
        | StoreError::LedgerForeign { .. }
        | StoreError::LedgerLogForeign(_)
        | StoreError::LedgerNewer { .. }
        | StoreError::LedgerLocked { .. }
        | StoreError::Ledger { .. } => Exit::Environment,
    }
}
