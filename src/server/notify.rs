//! Notifications to systemd (sd_notify(3)). Without systemd they have no effect.

use sd_notify::NotifyState;

/// Notifies systemd that the server accepts connections.
pub fn ready() {
    let _ = sd_notify::notify(&[NotifyState::Ready]);
}

/// Notifies systemd that the server stops.
pub fn stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}
