-- The message of Kong's former runscope plugin, which tcp-body-log writes too, computed inside of
-- the gateway by the definitions of its fields: one JSON object a line. Bodies are in base64, because
-- JSON has no place for bytes.
local cjson = require "cjson.safe"

local logger = {}

function logger.access()
  ngx.req.read_body()
  -- nil where there is none, and where nginx keeps it in a file.
  ngx.ctx.request_body = ngx.req.get_body_data()
  local content_type = ngx.req.get_headers()["content-type"]
  if content_type and string.find(string.lower(content_type), "application/x-www-form-urlencoded", 1, true) then
    ngx.ctx.form = ngx.req.get_post_args()
  end
end

function logger.body_filter()
  local chunks = ngx.ctx.chunks or {}
  ngx.ctx.chunks = chunks
  chunks[#chunks + 1] = ngx.arg[1]
end

function logger.log()
  local variables = ngx.var
  local request_body = ngx.ctx.request_body
  local record = {
    request = {
      url = variables.scheme .. "://" .. variables.host .. ":" .. variables.server_port .. variables.request_uri,
      method = ngx.req.get_method(),
      headers = ngx.req.get_headers(),
      body_base64 = request_body and ngx.encode_base64(request_body),
      timestamp = ngx.req.start_time(),
      form = ngx.ctx.form or {},
    },
    response = {
      status = ngx.status,
      headers = ngx.resp.get_headers(),
      size_bytes = variables.body_bytes_sent,
      body_base64 = ngx.encode_base64(table.concat(ngx.ctx.chunks or {})),
      timestamp = ngx.now(),
      response_time = tonumber(variables.request_time),
    },
  }
  local file = assert(io.open("RECORDS", "a"))
  file:write(cjson.encode(record), "\n")
  file:close()
end

return logger
