//! The texts of remedies of `verify`.

use super::package::USE_NEWER_VERSION;
use crate::app::verify::Remedy;
use crate::cli::finding_remedies::of_recording;

/// Returns the text of a remedy.
pub(super) fn words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::UseNewerVersion => USE_NEWER_VERSION,
        Remedy::GetBundleAgain => "get it again from where it was made: it may have been tampered with",
        Remedy::PackVerifierBundle => {
            "pack a verifier bundle, which has the addresses of all hosts: clusterctl bundle --verifier"
        }
        Remedy::RepackVerifierBundle => "pack it again with this version: clusterctl bundle --verifier",
        Remedy::ChooseContext(contexts) => {
            return format!("choose one with --context NAME; there is {}", contexts.join(", "));
        }
        Remedy::AddContext => {
            "add a context to it (kubectl would find no server in it either), or use --ca, --endpoint and --node-cert"
        }
        Remedy::AddAuthority => "add a certificate-authority to it; verify trusts nothing else",
        Remedy::NameKubeconfig => "name a kubeconfig; clusterctl show FILE prints what a file has",
        Remedy::NamePair => {
            "name a client's certificate and its own key, as PEM; clusterctl show FILE prints what a file has"
        }
        Remedy::StartRotation => {
            "without --phase it verifies the cluster as it is; a rotation begins with: clusterctl rotate-ca start"
        }
        Remedy::NameRotation(roles) => return format!("name one of them: --role {}", roles.join(", --role ")),
        Remedy::UseDirectory => "run it in the cluster directory, or without --phase",
        Remedy::NameRoots => "name them with --ca FILE; the system's own are never used",
        Remedy::NamePeers => "name the masters with --endpoint URL, nodes with --node NAME=HOST[:PORT], or both",
        Remedy::DidYouMean(name) => return format!("did you mean {name} ?"),
        Remedy::AddNode => "add it to the cluster file's nodes first",
        Remedy::NameNodeOnce => "a kubelet has one port: name the node once with --node",
        Remedy::WriteNodeAddress => "without a cluster directory write --node NAME=HOST or --node NAME=HOST:PORT",
        Remedy::MakeFolder(folder) => return format!("make it first: mkdir -p {}", folder.display()),
        Remedy::RecordAgain => "no run of verify writes so much; record again",
        Remedy::OfRecording(error) => of_recording(error),
    }
    .to_owned()
}
