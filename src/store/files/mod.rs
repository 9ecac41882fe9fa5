//! Access to the files of the cluster directory: reads with a limit, metadata, listings, and atomic writes.

mod list;
mod metadata;
mod new_file;
mod owner;
mod read;
mod remove;
mod sync;
mod waiting;
mod write;

pub use list::{Names, all_names_in, files_below, names_in};
pub use metadata::{
    Owner, another_owner, exists, folder_id, is_folder, is_inside, is_missing, is_plain_file, leads_out, mode,
    mode_of_file, modified, size,
};
pub use new_file::NewFile;
pub use read::{
    A_FOLDER, Input, begins_with, digest_of_private, holds, holds_exactly, open, read, read_named, read_one_of_many,
    read_or_wait,
};
pub use remove::{remove_all, remove_folder, sweep};
pub use sync::sync_all;
pub use waiting::in_threads;
pub use write::{FOLDER, PRIVATE, PUBLIC, create_folder, create_folders_below, create_open_folder, replace, write_new};

pub(super) use list::list;
pub(super) use metadata::is_empty;
pub(super) use owner::{give_file, give_folder};
pub(super) use remove::remove_own_folder;
pub(super) use sync::sync_folder;
pub(super) use write::{Durable, parent, rename, unfinished_sibling, write_file, write_with_the_batch};
