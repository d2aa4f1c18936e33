output "name" {
  description = "The function's name."
  value       = aws_lambda_function.this.function_name
}

output "alias_arn" {
  description = "What to invoke."
  value       = aws_lambda_alias.this.arn
}

output "alias_invoke_arn" {
  description = "What API Gateway is told to invoke."
  value       = aws_lambda_alias.this.invoke_arn
}

output "log_group" {
  description = "The name of its log group."
  value       = aws_cloudwatch_log_group.this.name
}
