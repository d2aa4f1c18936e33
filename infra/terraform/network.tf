# Where the cache is, and the functions that use it: private subnets, no way out but to what they need. DynamoDB by a
# gateway endpoint (free), SQS and Secrets Manager by interface endpoints (paid per zone and hour).

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:The first names of a sorted list are taken; a new zone comes last
  state = "available"
}

locals {
  makes_network = var.network == null
  zones         = local.makes_network ? slice(data.aws_availability_zones.available.names, 0, var.zones) : []

  vpc_id          = local.makes_network ? aws_vpc.this[0].id : var.network.vpc_id
  subnet_ids      = local.makes_network ? [for zone in local.zones : aws_subnet.private[zone].id] : var.network.subnet_ids
  route_table_ids = local.makes_network ? [aws_route_table.private[0].id] : var.network.route_table_ids
  makes_endpoints = local.makes_network || try(var.network.endpoints, false)

  # What functions of the network do in tables.
  network_actions = distinct(flatten([for function in local.functions : values(function.tables) if function.in_network]))

  # What each interface endpoint lets through: ours, and no other account's.
  interfaces = {
    sqs            = { actions = ["sqs:SendMessage"], resources = [aws_sqs_queue.orders.arn] }
    secretsmanager = { actions = ["secretsmanager:GetSecretValue"], resources = flatten(values(local.secret_arns)) }
  }
}

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:Functions and the cache alone are in it, and a rush makes gigabytes of flow records
  count = local.makes_network ? 1 : 0

  cidr_block           = var.network_cidr
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = { Name = local.names.network }
}

# Nobody uses it; it admits nobody.
resource "aws_default_security_group" "this" {
  count = local.makes_network ? 1 : 0

  vpc_id = aws_vpc.this[0].id
}

resource "aws_subnet" "private" {
  for_each = toset(local.zones)

  vpc_id            = aws_vpc.this[0].id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.network_cidr, 4, index(local.zones, each.key))
  tags              = { Name = "${local.names.network}-private-${each.key}" }
}

resource "aws_route_table" "private" {
  count = local.makes_network ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = "${local.names.network}-private" }
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[0].id
}

# The way to the internet, only where it is asked for.
resource "aws_internet_gateway" "this" {
  count = local.makes_network && var.nat_gateway ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = local.names.network }
}

resource "aws_subnet" "public" {
  count = local.makes_network && var.nat_gateway ? 1 : 0

  vpc_id            = aws_vpc.this[0].id
  availability_zone = local.zones[0]
  cidr_block        = cidrsubnet(var.network_cidr, 4, 15)
  tags              = { Name = "${local.names.network}-public" }
}

resource "aws_route_table" "public" {
  count = local.makes_network && var.nat_gateway ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = "${local.names.network}-public" }
}

resource "aws_route" "internet" {
  count = local.makes_network && var.nat_gateway ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_route_table_association" "public" {
  count = local.makes_network && var.nat_gateway ? 1 : 0

  subnet_id      = aws_subnet.public[0].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_eip" "nat" {
  count = local.makes_network && var.nat_gateway ? 1 : 0

  domain = "vpc"
  tags   = { Name = "${local.names.network}-nat" }
}

resource "aws_nat_gateway" "this" {
  count = local.makes_network && var.nat_gateway ? 1 : 0

  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.public[0].id
  tags          = { Name = local.names.network }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route" "nat" {
  count = local.makes_network && var.nat_gateway ? 1 : 0

  route_table_id         = aws_route_table.private[0].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[0].id
}

resource "aws_vpc_endpoint" "dynamodb" {
  count = local.makes_endpoints ? 1 : 0

  vpc_id            = local.vpc_id
  service_name      = "com.amazonaws.${var.region}.dynamodb"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = local.route_table_ids
  tags              = { Name = "${local.names.network}-dynamodb" }

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      # A gateway endpoint takes no other principal: named, an account would be its root user alone.
      Principal = "*"
      Action    = [for action in local.network_actions : "dynamodb:${action}"]
      Resource  = values(local.table_arns)
      Condition = { StringEquals = { "aws:PrincipalAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.makes_endpoints ? local.interfaces : {}

  vpc_id              = local.vpc_id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = local.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  tags                = { Name = "${local.names.network}-${each.key}" }

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = data.aws_caller_identity.current.account_id }
      Action    = each.value.actions
      Resource  = each.value.resources
    }]
  })
}

resource "aws_security_group" "functions" {
  #checkov:skip=CKV2_AWS_5:Attached to the functions, by the module
  name        = "${local.names.network}-functions"
  description = "Functions: out to the cache and to AWS, nothing comes in."
  vpc_id      = local.vpc_id
  tags        = { Name = "${local.names.network}-functions" }
}

resource "aws_security_group" "endpoints" {
  count = local.makes_endpoints ? 1 : 0

  name        = "${local.names.network}-endpoints"
  description = "Interface endpoints: TLS from functions."
  vpc_id      = local.vpc_id
  tags        = { Name = "${local.names.network}-endpoints" }
}

resource "aws_security_group" "cache" {
  count = var.cache == null ? 1 : 0

  name        = "${local.names.network}-cache"
  description = "The cache: TLS from functions."
  vpc_id      = local.vpc_id
  tags        = { Name = "${local.names.network}-cache" }
}

locals {
  cache_group = var.cache == null ? aws_security_group.cache[0].id : var.cache.security_group_id
  cache_port  = var.cache == null ? 6379 : var.cache.port
}

resource "aws_vpc_security_group_egress_rule" "cache" {
  security_group_id            = aws_security_group.functions.id
  description                  = "The stock."
  ip_protocol                  = "tcp"
  from_port                    = local.cache_port
  to_port                      = local.cache_port
  referenced_security_group_id = local.cache_group
}

resource "aws_vpc_security_group_ingress_rule" "cache" {
  count = var.cache == null ? 1 : 0

  security_group_id            = local.cache_group
  description                  = "The stock."
  ip_protocol                  = "tcp"
  from_port                    = local.cache_port
  to_port                      = local.cache_port
  referenced_security_group_id = aws_security_group.functions.id
}

# Out of the endpoints' way where there are none: then the VPC has its own, or a way out.
resource "aws_vpc_security_group_egress_rule" "endpoints" {
  security_group_id            = aws_security_group.functions.id
  description                  = "SQS and Secrets Manager."
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = local.makes_endpoints ? aws_security_group.endpoints[0].id : null
  cidr_ipv4                    = local.makes_endpoints ? null : "0.0.0.0/0"
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count = local.makes_endpoints ? 1 : 0

  security_group_id            = aws_security_group.endpoints[0].id
  description                  = "Functions."
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.functions.id
}

resource "aws_vpc_security_group_egress_rule" "dynamodb" {
  count = local.makes_endpoints ? 1 : 0

  security_group_id = aws_security_group.functions.id
  description       = "DynamoDB."
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = aws_vpc_endpoint.dynamodb[0].prefix_list_id
}

resource "aws_vpc_security_group_egress_rule" "internet" {
  count = local.makes_network && var.nat_gateway ? 1 : 0

  security_group_id = aws_security_group.functions.id
  description       = "The internet, through the NAT gateway."
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_egress_rule" "collector" {
  count = var.otlp_endpoint == null ? 0 : 1

  security_group_id = aws_security_group.functions.id
  description       = "The collector of traces and metrics."
  ip_protocol       = "tcp"
  from_port         = try(tonumber(regex(":([0-9]+)$", var.otlp_endpoint)[0]), 80)
  to_port           = try(tonumber(regex(":([0-9]+)$", var.otlp_endpoint)[0]), 80)
  cidr_ipv4         = "0.0.0.0/0"
}
