//! The texts of remedies for one-time tokens.

use crate::app::enrol::tokens::JoinTokenError;

pub(super) fn words(error: &JoinTokenError) -> String {
    match error {
        JoinTokenError::UnknownHost { similar: Some(near), .. } => format!("did you mean {near} ?"),
        JoinTokenError::UnknownHost { similar: None, .. } => "add it to the nodes in cluster.yaml first".to_owned(),
        JoinTokenError::ForMaster(name) => {
            format!(
                "a master gets its certificates in its bundle: clusterctl issue-master {name}, clusterctl bundle {name}"
            )
        }
        JoinTokenError::Unknown(_) => "clusterctl token list lists the tokens".to_owned(),
    }
}
