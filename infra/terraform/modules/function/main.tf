# One function: its role with the rights it was given and no others, its log, its code, and the alias that is called.

resource "aws_iam_role" "this" {
  name        = var.name
  description = "What the function ${var.name} may do."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "own"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
      }],
      [for statement in var.statements : {
        Effect   = "Allow"
        Action   = statement.actions
        Resource = statement.resources
      }],
    )
  })
}

# The network interfaces of a VPC and X-Ray's records cannot be named in advance: AWS' own policies stand for those two.
resource "aws_iam_role_policy_attachment" "network" {
  count = var.network == null ? 0 : 1

  role       = aws_iam_role.this.name
  policy_arn = "arn:${var.partition}:iam::aws:policy/service-role/AWSLambdaENIManagementAccess"
}

resource "aws_iam_role_policy_attachment" "tracing" {
  count = var.tracing ? 1 : 0

  role       = aws_iam_role.this.name
  policy_arn = "arn:${var.partition}:iam::aws:policy/AWSXRayDaemonWriteAccess"
}

# Interfaces are made by the service, before the function runs: its own code must not make any.
resource "aws_iam_role_policy" "no_interfaces" {
  count = var.network == null ? 0 : 1

  name = "no-interfaces-from-code"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Deny"
      Action    = ["ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses"]
      Resource  = "*"
      Condition = { ArnEquals = { "lambda:SourceFunctionArn" = aws_lambda_function.this.arn } }
    }]
  })
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:Logs carry ids, never secrets; CloudWatch encrypts them with its own key
  #checkov:skip=CKV_AWS_338:The operator decides, 90 days by default
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:X-Ray is a variable: it costs per trace
  #checkov:skip=CKV_AWS_115:Reserved concurrency is for spike alone; taking it from others would starve them
  #checkov:skip=CKV_AWS_116:Nothing is invoked asynchronously but timers, whose next run makes up for a lost one; queues have their own
  #checkov:skip=CKV_AWS_117:A function that needs no cache stays outside of the VPC and starts faster
  #checkov:skip=CKV_AWS_173:The environment holds addresses and ARNs, never secrets
  #checkov:skip=CKV_AWS_272:Zips are reproducible and compared by hash; signing them is the operator's choice
  function_name    = var.name
  description      = var.description
  role             = aws_iam_role.this.arn
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  handler          = "bootstrap"
  runtime          = "provided.al2023"
  architectures    = [var.architecture]
  memory_size      = var.memory_mb
  timeout          = var.timeout_secs
  publish          = true

  reserved_concurrent_executions = coalesce(var.reserved_concurrency, -1)

  environment {
    variables = var.environment
  }

  logging_config {
    log_format = "Text" # the lines are JSON already
    log_group  = aws_cloudwatch_log_group.this.name
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = var.network == null ? [] : [var.network]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy_attachment.network]
}

resource "aws_lambda_alias" "this" {
  name             = var.alias
  description      = "What everybody calls."
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version
}
