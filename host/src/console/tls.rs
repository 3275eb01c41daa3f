//! TLS of the listener that other machines reach.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{DEFAULT_VERSIONS, ServerConfig};

use crate::config::console::Proof;

/// What takes up connections and proves the host's name in them.
///
/// # Errors
/// When the files cannot be read, or do not belong together.
pub(super) fn acceptor(proof: &Proof) -> anyhow::Result<TlsAcceptor> {
    let Proof { certificate, key } = proof;
    let reading = |path: &Path| format!("cannot read `{}` of [console] as PEM", path.display());
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.with_context(|| reading(certificate))?;
    anyhow::ensure!(!chain.is_empty(), "`{}` of [console] holds no certificate", certificate.display());
    let secret = PrivateKeyDer::from_pem_file(key).with_context(|| reading(key))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(DEFAULT_VERSIONS)?
        .with_no_client_auth()
        .with_single_cert(chain, secret);
    let unfit = || format!("`{}` and `{}` of [console] do not belong together", certificate.display(), key.display());
    let mut config = config.with_context(unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
