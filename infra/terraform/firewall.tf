# One rule: an address that asks too often is blocked for a while. It guards CloudFront only; who finds the gateway's own
# address meets its throttle, and the limits in the functions.

resource "aws_wafv2_web_acl" "this" {
  #checkov:skip=CKV_AWS_192:No Java here
  #checkov:skip=CKV2_AWS_31:Metrics and samples are enough for one rule
  count = var.firewall_rate == null ? 0 : 1

  region      = "us-east-1"
  name        = local.names.firewall
  description = "Blocks addresses that ask too often."
  scope       = "CLOUDFRONT"

  default_action {
    allow {}
  }

  rule {
    name     = "rate"
    priority = 1

    action {
      block {}
    }

    statement {
      rate_based_statement {
        limit              = var.firewall_rate
        aggregate_key_type = "IP"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "rate"
      sampled_requests_enabled   = true
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = local.names.firewall
    sampled_requests_enabled   = true
  }
}
