# The gateway: an HTTP API whose routes are those of the functions. A route takes any method, so that a wrong one gets
# the function's 405; an unknown address gets `web`'s 404. Events and timers have no route here, and no function that has
# routes as well as events is called with a path that is not a route's.

resource "aws_apigatewayv2_api" "this" {
  name          = local.names.api
  description   = "Spike: flash sales."
  protocol_type = "HTTP"
}

locals {
  routes = merge([
    for name, function in local.functions : {
      for path in function.routes : "ANY ${path}" => {
        function = name
        token    = function.token
      }
    }
  ]...)
  unknown = { "$default" = { function = "web", token = false } }
  public  = { for name, function in local.functions : name => function if length(function.routes) > 0 }
}

resource "aws_apigatewayv2_integration" "function" {
  for_each = local.public

  api_id                 = aws_apigatewayv2_api.this.id
  description            = each.value.about
  integration_type       = "AWS_PROXY"
  integration_uri        = module.function[each.key].alias_invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = min(30000, each.value.timeout_secs * 1000 + 1000)
}

# Routes of which `keys` are made first: API Gateway fetches the discovery document when the authorizer is made.
resource "aws_apigatewayv2_route" "open" {
  #checkov:skip=CKV_AWS_309:These are for everybody: accounts, listings, public keys, pages; the test of the authorization table says which
  for_each = merge({ for key, route in local.routes : key => route if !route.token || !var.verify_tokens_at_edge }, local.unknown)

  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.key
  target             = "integrations/${aws_apigatewayv2_integration.function[each.value.function].id}"
  authorization_type = "NONE"
}

resource "aws_apigatewayv2_route" "token" {
  for_each = { for key, route in local.routes : key => route if route.token && var.verify_tokens_at_edge }

  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.key
  target             = "integrations/${aws_apigatewayv2_integration.function[each.value.function].id}"
  authorization_type = "JWT"
  authorizer_id      = aws_apigatewayv2_authorizer.token[0].id
}

resource "aws_apigatewayv2_authorizer" "token" {
  count = var.verify_tokens_at_edge ? 1 : 0

  api_id           = aws_apigatewayv2_api.this.id
  name             = "access-token"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = aws_apigatewayv2_api.this.api_endpoint
    audience = ["spike"] # auth::token::AUDIENCE
  }

  depends_on = [
    aws_apigatewayv2_route.open,
    aws_apigatewayv2_stage.this,
    aws_lambda_permission.gateway,
    aws_secretsmanager_secret_version.public_key,
  ]
}

resource "aws_lambda_permission" "gateway" {
  for_each = local.public

  statement_id  = "gateway"
  action        = "lambda:InvokeFunction"
  function_name = module.function[each.key].name
  qualifier     = local.alias
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*"
}

resource "aws_apigatewayv2_stage" "this" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  description = "Deploys itself when a route changes."
  auto_deploy = true

  # Of each route that has none of its own.
  default_route_settings {
    throttling_rate_limit    = var.throttle.route_rate
    throttling_burst_limit   = var.throttle.route_burst
    detailed_metrics_enabled = true
  }

  # A password costs a core tens of milliseconds. Only open routes can have limits of their own: a limit needs its route,
  # a route with a token the authorizer, and the authorizer this stage.
  dynamic "route_settings" {
    for_each = { for key, route in local.routes : key => route if contains(["login", "register"], route.function) }
    content {
      route_key                = route_settings.key
      throttling_rate_limit    = var.throttle.password_rate
      throttling_burst_limit   = var.throttle.password_burst
      detailed_metrics_enabled = true
    }
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    # The route, never the path: a purchase has its path token there.
    format = jsonencode({
      at            = "$context.requestTimeEpoch"
      request_id    = "$context.requestId"
      address       = "$context.identity.sourceIp"
      route         = "$context.routeKey"
      method        = "$context.httpMethod"
      status        = "$context.status"
      latency_ms    = "$context.responseLatency"
      function_ms   = "$context.integrationLatency"
      error         = "$context.error.messageString"
      function_fail = "$context.integrationErrorMessage"
    })
  }

  depends_on = [aws_apigatewayv2_route.open]
}

resource "aws_cloudwatch_log_group" "access" {
  #checkov:skip=CKV_AWS_158:Routes and addresses, no secrets; CloudWatch encrypts them with its own key
  #checkov:skip=CKV_AWS_338:The operator decides, 90 days by default
  name              = local.names.access_log
  retention_in_days = var.log_retention_days
}
