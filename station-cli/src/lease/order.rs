//! What an order builds, kept for the hours without a server.

use api::v1;
use serde::{Deserialize, Serialize};
use traveler::{Digest, OrderId};

use super::Leases;
use crate::failure::Failure;
use crate::journal::{JournalError, read_json, write_json};

/// What a unit's turn needs of [`v1::OpenOrderResponse`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptOrder {
    product: String,
    product_sha256: Digest,
    model: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    revisions: Vec<String>,
    label: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label_spec: Option<KeptLabel>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    profile: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile_sha256: Option<Digest>,
    /// Where the profile stands; believed for its digest alone: see `way`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    definition: String,
}

/// [`v1::LabelSpec`], field for field.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct KeptLabel {
    template: String,
    name: String,
    gtin: String,
    ssid: String,
    raster: bool,
}

impl KeptOrder {
    pub(super) fn new(order: &v1::OpenOrderResponse) -> Result<KeptOrder, Failure> {
        let digest = |bytes: &[u8]| {
            let bytes = bytes.try_into().map(Digest);
            bytes.map_err(|_| Failure::BadReply("a digest does not have 32 bytes".to_owned()))
        };
        let profile_sha256 = match order.profile_sha256.as_slice() {
            [] => None,
            bytes => Some(digest(bytes)?),
        };
        Ok(KeptOrder {
            product: order.product.clone(),
            product_sha256: digest(&order.product_sha256)?,
            model: order.model.clone(),
            revisions: order.revisions.clone(),
            label: order.label,
            label_spec: order.label_spec.as_ref().map(|spec| KeptLabel {
                template: spec.template.clone(),
                name: spec.name.clone(),
                gtin: spec.gtin.clone(),
                ssid: spec.ssid.clone(),
                raster: spec.raster,
            }),
            profile: order.profile.clone(),
            profile_sha256,
            definition: order.definition.clone(),
        })
    }

    /// The definition that a leased credential of this order must be made under.
    pub(super) fn product_sha256(&self) -> Digest {
        self.product_sha256
    }

    /// As the server said it; nothing of the log, which nobody shows now.
    pub(crate) fn said(self) -> v1::OpenOrderResponse {
        v1::OpenOrderResponse {
            product: self.product,
            product_sha256: self.product_sha256.0.to_vec(),
            model: self.model,
            revisions: self.revisions,
            label: self.label,
            label_spec: self.label_spec.map(|spec| v1::LabelSpec {
                template: spec.template,
                name: spec.name,
                gtin: spec.gtin,
                ssid: spec.ssid,
                raster: spec.raster,
            }),
            profile: self.profile,
            profile_sha256: self
                .profile_sha256
                .map_or(Vec::new(), |digest| digest.0.to_vec()),
            definition: self.definition,
            ..v1::OpenOrderResponse::default()
        }
    }
}

impl Leases {
    /// Keeps what an order builds, beside its credentials.
    pub(super) fn keep_order(&self, id: &OrderId, order: &KeptOrder) -> Result<(), JournalError> {
        let _one_at_a_time = self.lock("lock")?;
        write_json(&self.order_path(id), order)
    }

    /// What an order builds, if it was ever leased for here.
    pub(crate) fn order(&self, id: &OrderId) -> Result<Option<KeptOrder>, JournalError> {
        match read_json(&self.order_path(id)) {
            // Its units wait for the server, as those of an order that was never leased for.
            Err(JournalError::Damaged { .. }) => Ok(None),
            order => order,
        }
    }

    fn order_path(&self, id: &OrderId) -> std::path::PathBuf {
        self.dir.join(format!("{id}.order.json"))
    }
}
