//! The texts of remedies of `init`.

use crate::app::init::Remedy;
use crate::config::KubectlError;

/// Returns the text of a remedy.
pub(super) fn words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::CorrectValues => "nothing was written; correct the flags or the input and try again",
        Remedy::NameHosts => "nothing was written; --node NAME=ADDRESS replaces what kubectl lists of a host",
        Remedy::WriteList(error) => of_list(error),
        Remedy::AllowExternalIps => {
            "--external-ips lets hosts listen on ExternalIPs and report them; where the ExternalIP belongs to a gateway, name \
             each host's own address with --node NAME=ADDRESS"
        }
        Remedy::NameAddresses => {
            "nothing was written; name each host's address with --node NAME=ADDRESS, or remove the host from the list"
        }
    }
    .to_owned()
}

fn of_list(error: &KubectlError) -> &'static str {
    match error {
        KubectlError::Empty => "look at what `kubectl get nodes -o json` printed on its standard error",
        KubectlError::Refused { .. } => "run kubectl with an account that may list nodes",
        KubectlError::NoNodes => "use the right cluster: `kubectl config current-context` shows which one answers",
        KubectlError::NotUtf8 => "write it as UTF-8; in Windows PowerShell, pipe to `Out-File -Encoding utf8`",
        KubectlError::Json { .. }
        | KubectlError::Table
        | KubectlError::OtherKind { .. }
        | KubectlError::NoName { .. } => "write the file with `kubectl get nodes -o json`",
    }
}
