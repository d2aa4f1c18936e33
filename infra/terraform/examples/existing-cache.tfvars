# With a Redis or Valkey that is there, in a VPC that has its endpoints or another way to DynamoDB, SQS and Secrets
# Manager: terraform apply -var-file=examples/existing-cache.tfvars
network = {
  vpc_id     = "vpc-0123456789abcdef0"
  subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  endpoints  = false
}

cache = {
  security_group_id = "sg-0123456789abcdef0"
  url_secret_arn    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:stock-url-AbCdEf"
}
