# Keys and secrets. Made while Terraform applies and written without passing through plan or state (ephemeral values,
# write-only arguments); functions read them from Secrets Manager when they start. ADR 25.
#
# In the state after all: the cache's password, because `aws_elasticache_user` has no write-only argument. Keep the state
# encrypted and private, as ever; secret_versions.stock_password replaces it.

# A slot for each key of access tokens. The private half is for `login` and `refresh` alone, so the halves are two
# secrets. Should an apply fail between the two writes, raise the slot's version: the next apply writes a new pair.
ephemeral "tls_private_key" "signing" {
  for_each = var.signing_keys

  algorithm = "RSA"
  rsa_bits  = 2048
}

resource "aws_secretsmanager_secret" "signing_key" {
  #checkov:skip=CKV_AWS_149:The account's aws/secretsmanager key; who may read is decided by the policies of the roles
  #checkov:skip=CKV2_AWS_57:Rotation is by slot and version (docs/aws.md): gateways keep a key for two hours, which a rotation lambda does not know
  for_each = var.signing_keys

  name                    = "${local.names.signing_key}-${each.key}"
  description             = "Signs access tokens: RSA, PKCS #8 in PEM."
  recovery_window_in_days = var.deletion_protection ? 30 : 0
}

resource "aws_secretsmanager_secret_version" "signing_key" {
  for_each = var.signing_keys

  secret_id                = aws_secretsmanager_secret.signing_key[each.key].id
  secret_string_wo         = ephemeral.tls_private_key.signing[each.key].private_key_pem_pkcs8
  secret_string_wo_version = each.value
}

resource "aws_secretsmanager_secret" "public_key" {
  #checkov:skip=CKV_AWS_149:A public key
  #checkov:skip=CKV2_AWS_57:Changes with its private half
  for_each = var.signing_keys

  name                    = "${local.names.public_key}-${each.key}"
  description             = "Verifies access tokens: RSA, SubjectPublicKeyInfo in PEM. Public; it is here because it is made together with its private half."
  recovery_window_in_days = var.deletion_protection ? 30 : 0
}

resource "aws_secretsmanager_secret_version" "public_key" {
  for_each = var.signing_keys

  secret_id                = aws_secretsmanager_secret.public_key[each.key].id
  secret_string_wo         = ephemeral.tls_private_key.signing[each.key].public_key_pem
  secret_string_wo_version = each.value
}

ephemeral "random_password" "path_token_key" {
  length  = 64
  special = false
}

resource "aws_secretsmanager_secret" "path_token_key" {
  #checkov:skip=CKV_AWS_149:The account's aws/secretsmanager key; who may read is decided by the policies of the roles
  #checkov:skip=CKV2_AWS_57:Replaced by secret_versions.path_token_key; tokens live a minute
  name                    = local.names.path_token_key
  description             = "Makes and checks path tokens: HMAC-SHA256."
  recovery_window_in_days = var.deletion_protection ? 30 : 0
}

resource "aws_secretsmanager_secret_version" "path_token_key" {
  secret_id                = aws_secretsmanager_secret.path_token_key.id
  secret_string_wo         = ephemeral.random_password.path_token_key.result
  secret_string_wo_version = var.secret_versions.path_token_key
}

resource "random_password" "stock" {
  count = var.cache == null ? 1 : 0

  length  = 64
  special = false
  keepers = { version = var.secret_versions.stock_password }
}

resource "aws_secretsmanager_secret" "stock_url" {
  #checkov:skip=CKV_AWS_149:The account's aws/secretsmanager key; who may read is decided by the policies of the roles
  #checkov:skip=CKV2_AWS_57:Replaced by secret_versions.stock_password, together with the cache's user
  count = var.cache == null ? 1 : 0

  name                    = local.names.stock_url
  description             = "Where the stock is, with user and password: rediss://USER:PASSWORD@HOST:PORT."
  recovery_window_in_days = var.deletion_protection ? 30 : 0
}

resource "aws_secretsmanager_secret_version" "stock_url" {
  count = var.cache == null ? 1 : 0

  secret_id                = aws_secretsmanager_secret.stock_url[0].id
  secret_string_wo         = "rediss://${local.names.cache_user}:${random_password.stock[0].result}@${aws_elasticache_serverless_cache.this[0].endpoint[0].address}:${aws_elasticache_serverless_cache.this[0].endpoint[0].port}"
  secret_string_wo_version = var.secret_versions.stock_password

  # A write-only text is written when its version changes, and an address may change without.
  lifecycle {
    replace_triggered_by = [aws_elasticache_serverless_cache.this[count.index].endpoint]
  }
}

locals {
  # The secrets that make up a name of runtime::env.
  secret_arns = {
    ACCESS_TOKEN_KEYS = [for secret in aws_secretsmanager_secret.public_key : secret.arn]
    PATH_TOKEN_KEY    = [aws_secretsmanager_secret.path_token_key.arn]
    SIGNING_KEY       = [aws_secretsmanager_secret.signing_key[var.signing_key].arn]
    STOCK_URL         = [var.cache == null ? aws_secretsmanager_secret.stock_url[0].arn : var.cache.url_secret_arn]
  }
}
