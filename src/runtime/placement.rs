//! What runs where: the provider that each node of a model was given to.

use std::ffi::{CStr, c_char};

use ort::AsPointer;
use serde::Serialize;

use super::failed;
use crate::error::Result;

/// One node of a model and the provider that runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// The node's name; may be empty.
    pub node: String,
    /// Its operator, with its domain if that is not ONNX's own: `Conv`, `com.microsoft.Gelu`.
    pub operator: String,
    /// The provider's name as [`Runtime::providers`](super::Runtime::providers) gives it.
    pub provider: String,
}

/// The placements of a session that was made to record them, in the runtime's order. Nodes that
/// the runtime computed once and for all while loading are gone.
///
/// # Errors
/// [`Kind::Runtime`](crate::Kind::Runtime) if it does not say.
pub(super) fn of(session: &ort::session::Session) -> Result<Vec<Placement>> {
    let api = ort::api();
    let mut placements = Vec::new();
    let groups = list(|out, count| {
        // SAFETY: the session is alive; both pointers are valid for a write. What is written
        // belongs to the session.
        unsafe { (api.Session_GetEpGraphAssignmentInfo)(session.ptr(), out, count) }
    })?;
    for &group in groups {
        // SAFETY: the group belongs to the session; the pointer is valid for a write.
        let provider = text(|out| unsafe { (api.EpAssignedSubgraph_GetEpName)(group, out) })?;
        let provider = provider.strip_suffix("ExecutionProvider").unwrap_or(&provider);
        let nodes = list(|out, count| {
            // SAFETY: as for the groups.
            unsafe { (api.EpAssignedSubgraph_GetNodes)(group, out, count) }
        })?;
        for &node in nodes {
            // SAFETY: the node belongs to the session; the pointers are valid for a write.
            let operator = text(|out| unsafe { (api.EpAssignedNode_GetOperatorType)(node, out) })?;
            // SAFETY: as above.
            let domain = text(|out| unsafe { (api.EpAssignedNode_GetDomain)(node, out) })?;
            let is_plain = domain.is_empty() || domain == "ai.onnx";
            placements.push(Placement {
                // SAFETY: as above.
                node: text(|out| unsafe { (api.EpAssignedNode_GetName)(node, out) })?,
                operator: if is_plain { operator } else { format!("{domain}.{operator}") },
                provider: provider.to_lowercase(),
            });
        }
    }
    Ok(placements)
}

/// A list that the session owns.
fn list<'s, T>(
    ask: impl FnOnce(*mut *const *const T, *mut usize) -> ort::sys::OrtStatusPtr,
) -> Result<&'s [*const T]> {
    let (mut first, mut count) = (std::ptr::null(), 0);
    let status = ask(&raw mut first, &raw mut count);
    // SAFETY: the status comes from the call and is used once.
    unsafe { ort::Error::result_from_status(status) }
        .map_err(|error| failed(&error, "cannot ask what runs where"))?;
    if count == 0 || first.is_null() {
        return Ok(&[]);
    }
    // SAFETY: on success there are `count` pointers, which live as long as the session; they are
    // read before `of` returns, which borrows it.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// A text that the session owns, copied.
fn text(ask: impl FnOnce(*mut *const c_char) -> ort::sys::OrtStatusPtr) -> Result<String> {
    let mut text = std::ptr::null();
    let status = ask(&raw mut text);
    // SAFETY: the status comes from the call and is used once.
    unsafe { ort::Error::result_from_status(status) }
        .map_err(|error| failed(&error, "cannot ask what runs where"))?;
    if text.is_null() {
        return Ok(String::new());
    }
    // SAFETY: it is not null, ends with a zero, and lives as long as the session.
    Ok(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}
