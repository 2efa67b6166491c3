//! A model with an entry of its metadata set.

use super::Model;
use super::draft::Draft;
use super::proto::StringStringEntryProto;
use crate::error::Result;

impl Model {
    /// This model with `value` under `key` in its own metadata, in the place of what was there.
    ///
    /// # Errors
    /// As [`Model::read`]: the model has become too large.
    pub fn with_metadata(&self, key: &str, value: &str) -> Result<Self> {
        let mut draft = Draft::of(self);
        let entries = &mut draft.proto_mut().metadata_props;
        match entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => value.clone_into(&mut entry.value),
            None => {
                entries.push(StringStringEntryProto { key: key.to_owned(), value: value.into() });
            }
        }
        draft.finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::build;

    #[test]
    fn an_entry_is_added_and_then_replaced() {
        let model = build::read(&build::small()).unwrap();
        let once = model.with_metadata("a", "1").unwrap().with_metadata("b", "2").unwrap();
        assert_eq!((once.metadata("a"), once.metadata("b")), (Some("1"), Some("2")));
        let twice = once.with_metadata("a", "3").unwrap();
        assert_eq!((twice.metadata("a"), twice.metadata("b")), (Some("3"), Some("2")));
        assert_eq!(twice.proto().metadata_props.len(), 2);
    }
}
