//! Who may do what in the cluster, and who is denied before that is asked: the rights behind the accounts that certificates
//! stand for. Nothing here writes YAML or files; templates are filled in the room above.

pub mod denials;
pub mod explain;
pub mod mark;
pub mod rights;
