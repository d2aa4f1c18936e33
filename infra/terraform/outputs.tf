output "url" {
  description = "Where the pages and the API are."
  value       = "https://${var.domain == null ? aws_cloudfront_distribution.this.domain_name : var.domain.name}"
}

output "domain_target" {
  description = "What the domain's CNAME or alias record points to."
  value       = aws_cloudfront_distribution.this.domain_name
}

output "issuer" {
  description = "Who issues access tokens: the gateway's own address."
  value       = aws_apigatewayv2_api.this.api_endpoint
}

output "admin_command" {
  description = "Makes an account an admin. Register it first; USER_ID is the user_id in the answer. Log in again afterwards."
  value = join(" ", [
    "aws dynamodb update-item --region ${var.region} --table-name ${aws_dynamodb_table.this["users"].name}",
    "--key '{\"id\":{\"S\":\"user#USER_ID\"}}'",
    "--condition-expression 'attribute_exists(id)'",
    "--update-expression 'SET #roles = :roles ADD #version :one'",
    "--expression-attribute-names '{\"#roles\":\"roles\",\"#version\":\"version\"}'",
    "--expression-attribute-values '{\":roles\":{\"S\":\"[\\\"admin\\\"]\"},\":one\":{\"N\":\"1\"}}'",
  ])
}

output "dashboard" {
  description = "The dashboard."
  value       = "https://${var.region}.console.aws.amazon.com/cloudwatch/home?region=${var.region}#dashboards/dashboard/${aws_cloudwatch_dashboard.this.dashboard_name}"
}

output "functions" {
  description = "The functions' names in Lambda."
  value       = { for name, function in module.function : name => function.name }
}
