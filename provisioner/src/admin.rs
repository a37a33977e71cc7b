//! The administrator's verbs: each is one call to the running server, with the site's admin
//! credential. Nothing here touches the ledger; two ways to write would be one too many.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::v1;
use api::v1::administration_client::AdministrationClient;
use api::v1::audit_client::AuditClient;
use serde::Deserialize;
use serde_json::{Value, json};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

use crate::cli::{Format, LineVerb, OrderVerb, ProductVerb, StationVerb, print, say};
use crate::figures::{hex, order_json, order_line};
use crate::site::{self, Site};

/// How long the server may take to be reached, and to answer.
const WITHIN: Duration = Duration::from_secs(10);

/// `provisioner product ...`
pub(crate) fn product(site: &Site, verb: ProductVerb, format: Format) -> Result<()> {
    block_on(async {
        let mut client = AdministrationClient::new(connect(site).await?);
        match verb {
            ProductVerb::Apply { file } => {
                let definition = read_definition(&file)?;
                let definition = embed(definition, &file)?;
                let request = v1::ApplyProductRequest { definition };
                let row = client
                    .apply_product(request)
                    .await
                    .map_err(refused)?
                    .into_inner();
                let text = format!(
                    "product {} applied, sha256 {}\n",
                    row.product,
                    hex(&row.product_sha256)
                );
                print(format, &product_json(&row), || text)
            }
            ProductVerb::List => {
                let request = v1::ListProductsRequest {};
                let rows = client
                    .list_products(request)
                    .await
                    .map_err(refused)?
                    .into_inner()
                    .products;
                let facts: Vec<Value> = rows.iter().map(product_json).collect();
                print(format, &facts, || {
                    let line = |row: &v1::ProductRecord| {
                        format!("{:<32} {}\n", row.product, hex(&row.product_sha256))
                    };
                    rows.iter().map(line).collect()
                })
            }
        }
    })
}

/// A label template that is named as a file, in its place: what is applied says all, and is hashed.
fn embed(definition: String, product: &Path) -> Result<String> {
    #[derive(Deserialize)]
    struct Table {
        label: Template,
    }
    #[derive(Deserialize)]
    struct Template {
        template: toml::Spanned<String>,
    }
    let Ok(Table { label }) = toml::from_str(&definition) else {
        return Ok(definition); // no such label, or the server says what is wrong with it
    };
    let template = label.template;
    if !template.get_ref().ends_with(".toml") {
        return Ok(definition);
    }
    let path = product.with_file_name(template.get_ref());
    let text = site::read(&path)?;
    if text.contains("'''") {
        bail!(
            "{} holds three apostrophes in a row: write it without",
            path.display()
        );
    }
    let (before, after) = (
        &definition[..template.span().start],
        &definition[template.span().end..],
    );
    Ok(format!("{before}'''\n{text}'''{after}"))
}

/// `provisioner order ...`
pub(crate) fn order(site: &Site, verb: OrderVerb, format: Format) -> Result<()> {
    block_on(async {
        let channel = connect(site).await?;
        let mut admin = AdministrationClient::new(channel.clone());
        let mut audit = AuditClient::new(channel);
        let row = match verb {
            OrderVerb::Create {
                product,
                quantity,
                order,
                allowance,
            } => {
                let request = v1::CreateOrderRequest {
                    product: product.to_string(),
                    quantity,
                    order: order.map(|order| order.to_string()).unwrap_or_default(),
                    allowance,
                };
                admin.create_order(request).await
            }
            OrderVerb::Show { id } => {
                audit
                    .show_order(v1::ShowOrderRequest {
                        order: id.to_string(),
                    })
                    .await
            }
            OrderVerb::Close { id } => {
                admin
                    .close_order(v1::CloseOrderRequest {
                        order: id.to_string(),
                    })
                    .await
            }
            OrderVerb::List => {
                let request = v1::ListOrdersRequest {};
                let rows = audit
                    .list_orders(request)
                    .await
                    .map_err(refused)?
                    .into_inner()
                    .orders;
                let facts: Vec<Value> = rows.iter().map(order_json).collect();
                return print(format, &facts, || rows.iter().map(order_line).collect());
            }
        };
        let row = row.map_err(refused)?.into_inner();
        print(format, &order_json(&row), || order_line(&row))
    })
}

/// `provisioner station ...`
pub(crate) fn station(site: &Site, verb: StationVerb, format: Format) -> Result<()> {
    block_on(async {
        let channel = connect(site).await?;
        let mut admin = AdministrationClient::new(channel.clone());
        match verb {
            StationVerb::Token { name, valid } => {
                let request = v1::InviteStationRequest {
                    station: name.to_string(),
                    valid_s: valid,
                };
                let reply = admin
                    .invite_station(request)
                    .await
                    .map_err(refused)?
                    .into_inner();
                let long = match (valid / 3_600, valid % 3_600) {
                    (1, 0) => "1 hour".to_owned(),
                    (hours, 0) => format!("{hours} hours"),
                    _ => format!("{valid} s"),
                };
                say(&format!("works once, for {long}; on the station:"));
                say("  station-cli enroll --server https://SERVER:PORT --token-file -");
                let fact = json!({ "station": name.as_str(), "token": reply.token });
                print(format, &fact, || format!("{}\n", reply.token))
            }
            StationVerb::Revoke { name } => {
                let request = v1::RevokeStationRequest {
                    station: name.to_string(),
                };
                let row = admin
                    .revoke_station(request)
                    .await
                    .map_err(refused)?
                    .into_inner();
                print(format, &revoked_json(&row), || revoked_line(&row))
            }
            StationVerb::List => {
                let mut audit = AuditClient::new(channel);
                let request = v1::ListStationsRequest {};
                let reply = audit
                    .list_stations(request)
                    .await
                    .map_err(refused)?
                    .into_inner();
                let facts: Vec<Value> = reply.stations.iter().map(station_json).collect();
                print(format, &facts, || {
                    reply.stations.iter().map(station_line).collect()
                })
            }
        }
    })
}

/// `provisioner line ...`
pub(crate) fn line(site: &Site, verb: LineVerb, format: Format) -> Result<ExitCode> {
    block_on(async {
        let channel = connect(site).await?;
        let mut audit = AuditClient::new(channel.clone());
        let asked = audit.show_line(v1::ShowLineRequest {}).await;
        let mut row = asked.map_err(refused)?.into_inner();
        if let LineVerb::Resume { reason, entry } = verb {
            if !row.stopped {
                bail!("the line is not stopped: nothing was changed");
            }
            let request = v1::ResumeLineRequest {
                stopped_seq: entry.unwrap_or(row.stopped_seq),
                reason,
            };
            let mut admin = AdministrationClient::new(channel);
            row = admin
                .resume_line(request)
                .await
                .map_err(refused)?
                .into_inner();
        }
        print(format, &line_json(&row), || line_text(&row))?;
        // Code 1 is for a finding, and a stopped line is one.
        Ok(ExitCode::from(u8::from(row.stopped)))
    })
}

fn line_json(row: &v1::LineRecord) -> Value {
    if !row.stopped {
        return json!({ "state": "running" });
    }
    json!({
        "state": "stopped",
        "entry": row.stopped_seq,
        "clause": row.clause,
        "detector": row.detector,
        "evidence": row.evidence,
        "order": row.order,
        "since": row.since,
    })
}

fn line_text(row: &v1::LineRecord) -> String {
    if !row.stopped {
        return "RUNNING passwords are minted\n".to_owned();
    }
    format!(
        "STOPPED by entry {} since {}: the generator is unfit, nothing is issued\n  \
         clause {}, {}: {} (order {})\n\
         repair or replace the token, then: provisioner line resume --reason TEXT\n",
        row.stopped_seq, row.since, row.clause, row.detector, row.evidence, row.order
    )
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Connects with the site's admin credential to the server that runs on its data directory.
///
/// # Errors
/// When the directory is no site, or no server answers for it; the text says what to do.
pub async fn connect(site: &Site) -> Result<Channel> {
    let _ = rustls::crypto::ring::default_provider().install_default(); // once is enough
    let root = site::read(&site.site_root()).with_context(|| not_a_site(site))?;
    let folder = site.credential("admin");
    let certificate = site::read(&folder.join("certificate.pem"))?;
    let key = zeroize::Zeroizing::new(site::read(&folder.join("key.pem"))?);
    let address = site::read(&site.listening()).with_context(|| not_running(site))?;
    let tls = ClientTlsConfig::new()
        .domain_name(api::SERVER_NAME)
        .ca_certificate(Certificate::from_pem(root))
        .identity(Identity::from_pem(certificate, key.as_bytes()));
    let endpoint = Endpoint::from_shared(format!("https://{}", address.trim()))?
        .tls_config(tls)?
        .connect_timeout(WITHIN)
        .timeout(WITHIN)
        .http2_keep_alive_interval(WITHIN)
        .keep_alive_timeout(WITHIN)
        .keep_alive_while_idle(true);
    endpoint.connect().await.with_context(|| not_running(site))
}

fn not_a_site(site: &Site) -> String {
    let data = site.data().display();
    format!(
        "{data} is no data directory: name it with --data, or make one with `provisioner init --data {data}`"
    )
}

fn not_running(site: &Site) -> String {
    let data = site.data().display();
    format!("no server answers for {data}: start one with `provisioner serve --data {data}`")
}

/// Reads a product file; what it says is the server's to judge.
fn read_definition(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the product file {}", file.display()))?;
    let text = compliance::embed(&text, |name| read_profile(file, name))
        .with_context(|| file.display().to_string())?;
    if let Err(error) = compliance::Product::parse(&text) {
        bail!("{}: {error}", file.display());
    }
    Ok(text)
}

/// A device profile by its name, or by its path beside the product file.
fn read_profile(product: &Path, name: &str) -> Result<String, String> {
    if let Some(text) = compliance::shipped_profile(name) {
        return Ok(text.to_owned());
    }
    let path = product.with_file_name(name);
    std::fs::read_to_string(&path).map_err(|error| {
        format!(
            "it is none of those that come with the station, and {} cannot be read: {error}",
            path.display()
        )
    })
}

/// The server's words, with the reason scripts act on.
fn refused(status: Status) -> anyhow::Error {
    match (api::Reason::of(&status), status.code()) {
        (Some(reason), _) => anyhow::anyhow!("{} ({reason})", status.message()),
        (None, Code::Unavailable) => anyhow::anyhow!("the server went away: {}", status.message()),
        (None, code) => anyhow::anyhow!("{code:?}: {}", status.message()),
    }
}

fn product_json(row: &v1::ProductRecord) -> Value {
    json!({
        "product": row.product,
        "product_sha256": hex(&row.product_sha256),
        "definition": row.definition,
    })
}

fn station_json(row: &v1::StationRecord) -> Value {
    json!({
        "station": row.station,
        "state": row.state,
        "certificate_sha256": hex(&row.certificate_sha256),
        "open": row.open,
        "leased": row.leased,
    })
}

/// A station that was revoked, and what that voided.
fn revoked_json(row: &v1::StationRecord) -> Value {
    let mut fact = station_json(row);
    fact["voided_attempts"] = row.voided_attempts.into();
    fact["voided_leases"] = row.voided_leases.into();
    fact
}

fn revoked_line(row: &v1::StationRecord) -> String {
    format!(
        "{}voided: {} attempts under way, {} leased credentials that had met no unit\n",
        station_line(row),
        row.voided_attempts,
        row.voided_leases
    )
}

fn station_line(row: &v1::StationRecord) -> String {
    format!(
        "{:<32} {:<9} {} under way, {} leased\n",
        row.station, row.state, row.open, row.leased
    )
}
