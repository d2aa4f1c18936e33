# The buyers' pages: the same files that `web` has built in, on S3 behind CloudFront, with the API under the same host.

locals {
  page_dir = "${path.module}/../../functions/web/assets"

  # As functions/web/src/file.rs says: the type of each file, and the headers of all.
  page_types = {
    css  = "text/css; charset=utf-8"
    html = "text/html; charset=utf-8"
    js   = "text/javascript; charset=utf-8"
    json = "application/json"
    svg  = "image/svg+xml"
  }
  page_cache_control           = "public, max-age=60"
  page_content_security_policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

  # Where a browser asks for a file: what is not at the top is below assets/.
  pages = {
    for file in fileset(local.page_dir, "*") :
    (contains(["index.html", "openapi.json"], file) ? file : "assets/${file}") => file
  }

  # CloudFront's own policies, by the ids that its documentation gives them.
  cloudfront = {
    cache_optimized          = "658327ea-f89d-4fab-a63d-7e88639e58f6"
    cache_disabled           = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    all_viewer_but_host      = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
    headers_security_default = "67f7725c-6f97-4210-82d7-5512b31e9d03"
  }
  # What CloudFront would keep for ten seconds, and hand to others, if it was not told.
  error_codes = [400, 403, 404, 405, 414, 500, 501, 502, 503, 504]

  methods = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
}

resource "aws_s3_bucket" "pages" {
  #checkov:skip=CKV_AWS_18:CloudFront is the only reader, and the gateway logs what matters
  #checkov:skip=CKV_AWS_21:The files are in the repository, with their history
  #checkov:skip=CKV_AWS_144:The files are in the repository; CloudFront answers from everywhere
  #checkov:skip=CKV_AWS_145:Public pages, encrypted with S3's own key
  #checkov:skip=CKV2_AWS_61:Nothing expires
  #checkov:skip=CKV2_AWS_62:Nobody waits for a change of a page
  bucket        = local.names.pages
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "pages" {
  bucket                  = aws_s3_bucket.pages.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_object" "page" {
  #checkov:skip=CKV_AWS_186:Public pages, encrypted with S3's own key
  for_each = local.pages

  bucket        = aws_s3_bucket.pages.id
  key           = each.key
  source        = "${local.page_dir}/${each.value}"
  source_hash   = filemd5("${local.page_dir}/${each.value}")
  content_type  = local.page_types[reverse(split(".", each.value))[0]]
  cache_control = local.page_cache_control
}

resource "aws_s3_bucket_policy" "pages" {
  bucket = aws_s3_bucket.pages.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "cloudfront.amazonaws.com" }
        Action    = ["s3:GetObject"]
        Resource  = [for key in keys(local.pages) : "${aws_s3_bucket.pages.arn}/${key}"]
        Condition = { StringEquals = { "AWS:SourceArn" = aws_cloudfront_distribution.this.arn } }
      },
      {
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.pages.arn, "${aws_s3_bucket.pages.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.pages]
}

resource "aws_cloudfront_origin_access_control" "pages" {
  name                              = local.names.pages
  description                       = "CloudFront signs its requests for pages."
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_response_headers_policy" "pages" {
  #checkov:skip=CKV_AWS_259:It does, but for this host alone: subdomains are their owner's to decide
  name    = "${local.names.network}-pages"
  comment = "What web sends with a page."

  security_headers_config {
    content_security_policy {
      content_security_policy = local.page_content_security_policy
      override                = true
    }
    content_type_options {
      override = true
    }
    referrer_policy {
      referrer_policy = "no-referrer"
      override        = true
    }
    strict_transport_security {
      access_control_max_age_sec = 31536000
      include_subdomains         = false
      override                   = true
    }
  }
}

# What the API may have kept: as long as it says itself, a second at most. Host is in no key, since the gateway would be sent it.
resource "aws_cloudfront_cache_policy" "listing" {
  name        = "${local.names.network}-listing"
  comment     = "As the API says, a second at most."
  min_ttl     = 0
  default_ttl = 0
  max_ttl     = 1

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_gzip   = true
    enable_accept_encoding_brotli = true

    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "all"
    }
  }
}

resource "aws_cloudfront_distribution" "this" {
  #checkov:skip=CKV_AWS_68:The firewall is a variable: it costs by the month and by request
  #checkov:skip=CKV_AWS_86:The gateway logs what reaches it; pages are public files
  #checkov:skip=CKV_AWS_174:CloudFront's own certificate knows no other minimum; with a domain it is TLSv1.2_2021
  #checkov:skip=CKV_AWS_310:One region: there is no second origin
  #checkov:skip=CKV_AWS_374:Who may buy is decided by the rules of a spike, not by the country of an address
  #checkov:skip=CKV2_AWS_42:A domain of one's own is a variable
  #checkov:skip=CKV2_AWS_47:The firewall is a variable
  enabled             = true
  comment             = "Spike: pages and API under one host."
  default_root_object = "index.html"
  http_version        = "http2and3"
  is_ipv6_enabled     = true
  price_class         = var.price_class
  aliases             = var.domain == null ? [] : [var.domain.name]
  web_acl_id          = one(aws_wafv2_web_acl.this[*].arn)

  origin {
    origin_id                = "pages"
    domain_name              = aws_s3_bucket.pages.bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.pages.id
  }

  origin {
    origin_id   = "api"
    domain_name = trimprefix(aws_apigatewayv2_api.this.api_endpoint, "https://")

    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }

  # Everything but the pages is the API's, and nothing of it is kept.
  default_cache_behavior {
    target_origin_id           = "api"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = local.methods
    cached_methods             = ["GET", "HEAD"]
    cache_policy_id            = local.cloudfront.cache_disabled
    origin_request_policy_id   = local.cloudfront.all_viewer_but_host
    response_headers_policy_id = local.cloudfront.headers_security_default
    compress                   = true
  }

  # The listing says itself for how long it may be kept: a second, for everybody.
  ordered_cache_behavior {
    path_pattern               = "/spikes"
    target_origin_id           = "api"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = local.methods
    cached_methods             = ["GET", "HEAD"]
    cache_policy_id            = aws_cloudfront_cache_policy.listing.id
    origin_request_policy_id   = local.cloudfront.all_viewer_but_host
    response_headers_policy_id = local.cloudfront.headers_security_default
    compress                   = true
  }

  dynamic "ordered_cache_behavior" {
    for_each = ["/", "/index.html", "/assets/*", "/openapi.json"]
    content {
      path_pattern               = ordered_cache_behavior.value
      target_origin_id           = "pages"
      viewer_protocol_policy     = "redirect-to-https"
      allowed_methods            = ["GET", "HEAD"]
      cached_methods             = ["GET", "HEAD"]
      cache_policy_id            = local.cloudfront.cache_optimized
      response_headers_policy_id = aws_cloudfront_response_headers_policy.pages.id
      compress                   = true
    }
  }

  # A buyer's 404 is no other buyer's.
  dynamic "custom_error_response" {
    for_each = local.error_codes
    content {
      error_code            = custom_error_response.value
      error_caching_min_ttl = 0
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = var.domain == null
    acm_certificate_arn            = try(var.domain.certificate_arn, null)
    minimum_protocol_version       = var.domain == null ? null : "TLSv1.2_2021"
    ssl_support_method             = var.domain == null ? null : "sni-only"
  }
}
