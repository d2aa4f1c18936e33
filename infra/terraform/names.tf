# Every name, once.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  tags = merge(var.tags, { project = var.name })

  names = {
    api            = var.name
    alarms         = "${var.name}-alarms"
    budget         = var.name
    cache          = var.name
    cache_user     = "${var.name}-functions"
    dashboard      = var.name
    dead_letters   = "${var.name}-dead-letters"
    firewall       = var.name
    network        = var.name
    orders         = "${var.name}-orders"
    pages          = "${var.name}-pages-${data.aws_caller_identity.current.account_id}-${var.region}"
    path_token_key = "${var.name}/path-token-key"
    public_key     = "${var.name}/public-key"
    schedules      = var.name
    scheduler      = "${var.name}-scheduler"
    signing_key    = "${var.name}/signing-key"
    stock_url      = "${var.name}/stock-url"
    access_log     = "/aws/apigateway/${var.name}"
    metrics        = "Spike/${var.name}"
  }

  # Of a function, and of the alias that everybody calls.
  function_names = { for name in keys(local.declared) : name => "${var.name}-${name}" }
  alias          = "live"
  function_arns = {
    for name, function in local.function_names :
    name => "arn:${data.aws_partition.current.partition}:lambda:${var.region}:${data.aws_caller_identity.current.account_id}:function:${function}"
  }

  # What all buyers call in the first second: `prewarm` raises these (functions/prewarm).
  hot = ["access-check", "spike", "spike-token"]

  # STORE_URL tells the adapter this prefix, so that the code's table `orders` is this table.
  table_prefix = "${var.name}-"
}
